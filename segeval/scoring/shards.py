"""One run in several pieces: `i/n` of the images each, added up afterwards."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segeval.errors import Caution, SegevalError
from segeval.evidence.tally import Tally, merge
from segeval.metrics.metric import Metric
from segeval.metrics.options import rule_to_dict
from segeval.results.result import Result
from segeval.samples.pairs import Key
from segeval.scoring.rescoring import rescored

# How many keys a message lists.
SHOWN = 3


@dataclass(frozen=True)
class Shard:
    """Piece `index` of `of`, counted from 1."""

    index: int
    of: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read ``2/8``.

        Raises
        ------
        SegevalError
            For anything that is no piece of a whole.
        """
        first, slash, second = text.partition("/")
        if not (slash and first.isdecimal() and second.isdecimal()) or not 1 <= int(first) <= int(second):
            raise SegevalError(f"{text!r} is no shard", remedy="give i/n, from 1/n to n/n")
        return cls(int(first), int(second))

    def __str__(self) -> str:
        return f"{self.index}/{self.of}"

    def span(self, count: int) -> tuple[int, int]:
        """Where this piece of so many images begins and ends; sizes differ by one at most."""
        return (self.index - 1) * count // self.of, self.index * count // self.of

    def keys(self, keys: Sequence[Key]) -> list[Key]:
        """This piece of the images: neighbours stay together, as they do in archives and on disks.

        Raises
        ------
        SegevalError
            If there are fewer images than pieces.
        """
        if self.of > len(keys):
            raise SegevalError(f"{len(keys)} images can't be cut into {self.of} shards", remedy="give fewer shards")
        low, high = self.span(len(keys))
        return list(keys[low:high])


def keys_digest(keys: Sequence[Key]) -> str:
    """16 hexadecimal digits that stand for the images of a run, in their order."""
    text = "\x1f".join(f"{type(key) is str}\x1e{key}" for key in keys)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def partial_result(
    rule: Metric, tally: Tally, shard: Shard, keys: Sequence[Key], cautions: Sequence[Caution]
) -> Result:
    """The run of one shard: rows, and no figures that could be taken for a score.

    Parameters
    ----------
    rule, tally
        What was counted, and how.
    shard
        Which piece it is.
    keys
        The images of all pieces, in their order.
    cautions
        What the readers had to say.
    """
    low, high = shard.span(len(keys))
    ends = [Shard(i, shard.of).span(len(keys)) for i in range(1, shard.of + 1)]
    about = {
        "index": shard.index,
        "of": shard.of,
        "images": len(keys),
        "keys": keys_digest(keys),
        "spans": [[str(keys[a]), str(keys[b - 1]), b - a] for a, b in ends],
        "cautions": [[c.code, c.message] for c in cautions],
    }
    text = f"shard {shard}: {high - low} of {len(keys)} images; segeval merge adds the shards and scores them"
    return Result(
        task=rule.task,
        signature=rule.signature(tally),
        images=len(tally),
        values={},
        warnings=(Caution("shard", text),),
        rule=rule_to_dict(rule),
        tally=tally,
        provenance={"shard": about},
    )


def merge_runs(folders: Sequence[str | os.PathLike[str]]) -> Result:
    """Add the runs of shards, in any order, and score the whole: the very result of one run.

    Whole runs of different images under one rule add as well.

    Raises
    ------
    SegevalError
        If images overlap or shards are missing (with their keys), rules differ, or shards are of different wholes.
    """
    runs = [(Path(folder), Result.load(folder)) for folder in folders]
    if not runs:
        raise SegevalError("nothing to add", remedy="give the folders of saved runs")
    for path, run in runs:
        if run.tally is None:
            raise SegevalError("this run has no tally.npz", file=path, remedy="score again with --out")
        if dict(run.rule) != dict(runs[0][1].rule):
            raise SegevalError(
                f"was scored by another rule than {runs[0][0]}", file=path, remedy="score all with the same options"
            )
    abouts = [run.provenance.get("shard") for _, run in runs]
    if any(abouts):
        _refuse_gaps([path for path, _ in runs], abouts)
    _refuse_overlaps(runs)
    rule = runs[0][1].metric
    parts = [(path / "result.json", run.tally) for path, run in runs if run.tally is not None]
    result = rescored(rule, merge([tally for _, tally in parts]), parts)
    cautions: list[Caution] = []
    for about, (_, run) in zip(abouts, runs, strict=True):
        said = [Caution(c, m) for c, m in about["cautions"]] if about else _of_readers(run, result)
        cautions += [c for c in said if c not in cautions]
    provenance = {k: v for k, v in runs[0][1].provenance.items() if k not in ("shard", "command")}
    return result.with_(warnings=(*cautions, *result.warnings), provenance=provenance)


def _of_readers(run: Result, whole: Result) -> list[Caution]:
    """Cautions of a whole run that the rule would not say again of the sum."""
    rule = run.metric
    own = {c.code for c in rule.score(run.tally).warnings} | {c.code for c in whole.warnings}
    return [c for c in run.warnings if c.code not in own]


def _refuse_gaps(paths: Sequence[Path], abouts: Sequence[Mapping[str, Any] | None]) -> None:
    first = next(a for a in abouts if a)
    seen: dict[int, Path] = {}
    for path, about in zip(paths, abouts, strict=True):
        if about is None:
            raise SegevalError("is no shard, the others are", file=path, remedy="merge the shards of one run")
        for name, what in (("of", "a number of shards"), ("keys", "a list of images")):
            if about[name] != first[name]:
                raise SegevalError(
                    f"has another {what[2:]} than {paths[0]} ({about['images']} images in {about['of']} shards, "
                    f"not {first['images']} in {first['of']})",
                    file=path,
                    remedy="score every shard on the same data with the same n",
                )
        if about["index"] in seen:
            low, high, count = about["spans"][about["index"] - 1]
            raise SegevalError(
                f"is shard {about['index']}/{about['of']}, and so is {seen[about['index']]}: its {count} images "
                f"({low} to {high}) would count twice",
                file=path,
                remedy="give each shard once",
            )
        seen[about["index"]] = path
    absent = [i for i in range(1, first["of"] + 1) if i not in seen]
    if absent:
        low, high, count = first["spans"][absent[0] - 1]
        images = sum(first["spans"][i - 1][2] for i in absent)
        listed = ", ".join(f"{i}/{first['of']}" for i in absent[:SHOWN]) + (", ..." if len(absent) > SHOWN else "")
        raise SegevalError(
            f"{images} of {first['images']} images are missing: shard {listed}; the first holds {count} images "
            f"({low} to {high})",
            remedy="score the missing shards too",
        )


def _refuse_overlaps(runs: Sequence[tuple[Path, Result]]) -> None:
    seen: dict[Key, Path] = {}
    for path, run in runs:
        assert run.tally is not None
        if run.tally.folded and not run.provenance.get("shard") and len(runs) > 1:
            remedy = "score it again without --collapse"
            raise SegevalError("its images were folded, so overlaps can't be told", file=path, remedy=remedy)
        twice = [key for key in run.tally.keys if key in seen]
        if twice:
            listed = ", ".join(map(str, twice[:SHOWN])) + (f" and {len(twice) - SHOWN} more" if twice[SHOWN:] else "")
            raise SegevalError(
                f"{len(twice)} images are in {seen[twice[0]]} too: {listed}", file=path, remedy="merge disjoint runs"
            )
        seen |= dict.fromkeys(run.tally.keys, path)
