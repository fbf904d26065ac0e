"""Saved runs: found in folders, named, loaded, and checked against their own rows."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from segeval.errors import Caution, SegevalError
from segeval.readers.coco.tables import keys_by_name
from segeval.results.result import Result
from segeval.samples.pairs import Key
from segeval.scoring.rescoring import rescored
from segeval.statistics.attributes import by_key

RECORD = "result.json"

T = TypeVar("T")

# Another version may round elsewhere; an edit moves more than this.
CLOSE = 1e-9


def load_run(folder: str | os.PathLike[str], *, shards: bool = False) -> Result:
    """A saved run with its rows, whose figures are the ones that its rows give.

    Parameters
    ----------
    folder
        What ``score --out`` wrote.
    shards
        Whether a shard, which has rows and no figures, will do.

    Raises
    ------
    SegevalError
        If the run is absent, truncated, newer, without rows, or its figures were edited.
    """
    result = Result.load(folder)
    path = Path(folder) / RECORD
    if shard := result.provenance.get("shard"):
        if shards and not result.values:
            return result
        text = f"is shard {shard['index']} of {shard['of']}, no whole run"
        raise SegevalError(text, file=path, remedy="add the shards with segeval merge")
    if result.tally is None:
        raise SegevalError("this run has no tally.npz", file=path, remedy="score again with --out")
    _agree(result, rescored(result.metric, result.tally, [(path, result.tally)]), path)
    return result


def _agree(stored: Result, again: Result, path: Path) -> None:
    edited = "it was edited, or its files are of two runs; score again"
    keys = stored.signature.difference(again.signature)
    if keys:
        key = keys[0]
        said, found = (r.signature.metric if key == "metric" else r.signature.get(key) for r in (stored, again))
        raise SegevalError(f"the signature says {key} {said} and the rows {found}", file=path, remedy=edited)
    pairs: list[tuple[str, Any, Any]] = [(n, stored.values.get(n), v) for n, v in again.values.items()]
    for a, b in zip(stored.per_class, again.per_class, strict=False):
        pairs += [(f"{n} of {b['name']}", a.get(n), v) for n, v in b.items()]
    pairs.append(("the number of classes", len(stored.per_class), len(again.per_class)))
    pairs.append(("the number of images", stored.images, again.images))
    for name, here, there in pairs:
        if not _same(here, there):
            raise SegevalError(f"{name} is {here} here but {there} by the rows", file=path, remedy=edited)


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, (int, float)) and isinstance(b, (int, float)):
        return (math.isnan(a) and math.isnan(b)) or abs(a - b) <= CLOSE
    return bool(a == b) or (a is None and isinstance(b, float) and math.isnan(b)) or _undefined(a, b)


def _undefined(a: Any, b: Any) -> bool:
    # A null of the file came back as NaN where the rule itself says None.
    return b is None and isinstance(a, float) and math.isnan(a)


def find_runs(places: Iterable[str | os.PathLike[str]]) -> list[Path]:
    """The folders of runs at or below some places, each once, in the order given and then by path.

    Raises
    ------
    SegevalError
        If a place is absent or holds no run.
    """
    found: dict[Path, Path] = {}
    for place in places:
        root = Path(place)
        if not root.is_dir():
            raise SegevalError("no such folder", file=root, remedy="give a run, or a folder of runs")
        here = sorted(path.parent for path in root.rglob(RECORD))
        if not here:
            raise SegevalError("holds no saved run", file=root, remedy="give a folder made by score --out")
        for folder in here:
            found.setdefault(folder.resolve(), folder)
    return list(found.values())


def short_names(paths: Sequence[str | os.PathLike[str]]) -> list[str]:
    """As many last parts of each path as tell all of them apart; the last one and a number where nothing does."""
    parts = [Path(path).parts for path in paths]
    for length in range(1, max(map(len, parts), default=1) + 1):
        ends = ["/".join(own[-length:]) for own in parts]
        if len(set(ends)) == len(ends):
            return ends
    return [f"{'/'.join(own[-1:])} {k}" for k, own in enumerate(parts, 1)]


def load_runs(folders: Sequence[str | os.PathLike[str]]) -> Mapping[str, Result]:
    """Runs by their short names.

    Raises
    ------
    SegevalError
        As `load_run`, or if a folder is given twice.
    """
    resolved = [Path(folder).resolve() for folder in folders]
    for i, folder in enumerate(resolved):
        if folder in resolved[:i]:
            raise SegevalError("is given twice", file=folders[i], remedy="give each run once")
    return {name: load_run(folder) for name, folder in zip(short_names(resolved), folders, strict=True)}


def load_found(folders: Sequence[Path]) -> tuple[dict[str, Result], list[Caution]]:
    """Runs that were found below a place, by short name: shards and runs that can't be used are left out and named.

    Raises
    ------
    SegevalError
        If none can be used: the first one's reason.
    """
    kept: list[Path] = []
    found: list[Result] = []
    left: list[SegevalError] = []
    for folder in folders:
        try:
            found.append(load_run(folder))
            kept.append(folder)
        except SegevalError as error:
            left.append(error)
    if not kept:
        raise left[0]
    names = short_names([folder.resolve() for folder in kept])
    return dict(zip(names, found, strict=True)), [Caution("run-left-out", f"left out: {e}") for e in left]


def under_keys(known: Mapping[str, T], results: Iterable[Result]) -> Mapping[str, T]:
    """What is known of images under the keys of runs, where it names images of a COCO truth by their files.

    Parameters
    ----------
    known
        By image: its id, the name of its file, or this name without extension.
    results
        Runs that say where their truth is; one whose truth is gone, or is no COCO JSON, knows keys only.

    Raises
    ------
    SegevalError
        If an image is named in two ways.
    """
    runs = list(results)
    keys = {key for run in runs if run.tally is not None for key in run.tally.keys}
    there = {str(key) for key in keys}
    names: dict[str, Key] = {}
    if any(image not in there for image in known):
        for gt in dict.fromkeys(str(run.provenance.get("gt", "")) for run in runs):
            with contextlib.suppress(SegevalError):
                names |= keys_by_name(gt) if gt else {}
    return by_key(known, keys, names)


def subset(result: Result, keys: Iterable[Key]) -> Result:
    """The run scored on some of its images, under the classes of the whole run.

    Raises
    ------
    SegevalError
        If the run keeps no rows by image, or a key is not one of its images.
    """
    tally = result.tally
    if tally is None or tally.folded:
        raise SegevalError("this run keeps no rows by image", remedy="score again with --out, without collapsing")
    # What was inferred from all images stays, or a part would be scored by another rule than the whole.
    rule = result.metric.settled(tally)
    part: Result = rule.score(tally.take(keys))
    return part.with_(provenance=result.provenance)
