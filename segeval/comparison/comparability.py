"""May these runs be compared? Only if the truth and every convention agree, or the difference was allowed by name."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from segeval.comparison.runs import subset
from segeval.errors import Caution, SegevalError
from segeval.evidence.tally import Tally
from segeval.results.result import Result
from segeval.samples.pairs import Key

# How many images a message names.
NAMED = 3


def comparable(
    results: Mapping[str, Result], allow: Collection[str] = ()
) -> tuple[tuple[str, ...], list[Caution], list[Result]]:
    """The keys in which runs differ and may, what to say about it, and the runs on their common images.

    Raises
    ------
    SegevalError
        If the tasks differ, a run lacks its rows, or the runs differ in a key that was not allowed.
    """
    names, runs = list(results), list(results.values())
    tallies = [_rows(name, run) for name, run in results.items()]
    for name, run in zip(names[1:], runs[1:], strict=True):
        if run.task != runs[0].task:
            raise SegevalError(
                f"{names[0]} is of the task {runs[0].task} and {name} of the task {run.task}",
                remedy="compare runs of one task",
            )
    differing: dict[str, None] = {}
    for name, run, tally in zip(names[1:], runs[1:], tallies[1:], strict=True):
        for key in difference_of(runs[0], run):
            if key not in allow:
                raise _refusal(key, (names[0], runs[0], tallies[0]), (name, run, tally))
            differing[key] = None
    warnings = [_allowed(key, results) for key in differing]
    versions = sorted({run.signature.get("segeval") or "unknown" for run in runs})
    if len(versions) > 1:
        text = f"the runs were made by different versions of segeval: {', '.join(versions)}"
        warnings.append(Caution("versions-differ", text))
    if any(tally.keys != tallies[0].keys for tally in tallies):
        runs, caution = _on_common_images(names, runs, tallies)
        warnings.append(caution)
    return tuple(differing), warnings, runs


def difference_of(one: Result, other: Result) -> tuple[str, ...]:
    """The keys in which two runs differ; the whole digest of the truth is compared, not only what is printed of it."""
    keys = one.signature.difference(other.signature)
    digests = [run.tally.digest for run in (one, other) if run.tally is not None]
    return (*keys, "truth") if len(set(digests)) > 1 and "truth" not in keys else keys


def _rows(name: str, run: Result) -> Tally:
    if run.tally is None or run.tally.folded or not len(run.tally):
        raise SegevalError(f"{name} keeps no rows by image", remedy="score it again with --out, without --collapse")
    return run.tally


def _refusal(key: str, one: tuple[str, Result, Tally], other: tuple[str, Result, Tally]) -> SegevalError:
    (first, a, _), (second, b, _) = one, other
    go_on = f"score both alike (compare can go on with --allow {key})"
    if key == "truth":
        return SegevalError(f"{first} and {second} differ in truth: {_images(one, other)}", remedy=go_on)
    if key == "metric":
        return SegevalError(f"{first} has {a.signature.metric} and {second} {b.signature.metric}", remedy=go_on)
    mine, theirs = (r.signature.get(key) or "nothing said" for r in (a, b))
    return SegevalError(f"{first} and {second} differ in {key}: {mine} and {theirs}", remedy=go_on)


def _images(one: tuple[str, Result, Tally], other: tuple[str, Result, Tally]) -> str:
    """Which images have another truth, or are in one run only."""
    first, second = (dict(zip(tally.keys, tally.digests.tolist(), strict=True)) for tally in (one[2], other[2]))
    said = []
    for name, mine, theirs in ((one[0], first, second), (other[0], second, first)):
        only = [key for key in mine if key not in theirs]
        if only:
            said.append(f"{_listed(only)} only in {name}")
    changed = [key for key in first if key in second and first[key] != second[key]]
    if changed:
        said.append(f"{_listed(changed)} with another truth")
    return "; ".join(said) or "the digests of folded images"


def _listed(keys: Sequence[Key]) -> str:
    shown = ", ".join(str(key) for key in keys[:NAMED])
    more = f" and {len(keys) - NAMED} more" if len(keys) > NAMED else ""
    return f"{len(keys)} image{'s' if len(keys) > 1 else ''} ({shown}{more})"


def _allowed(key: str, results: Mapping[str, Result]) -> Caution:
    values = dict.fromkeys(
        r.signature.metric if key == "metric" else r.signature.get(key) or "nothing said" for r in results.values()
    )
    return Caution("allowed-difference", f"the runs differ in {key} ({', '.join(values)}), and this was allowed")


def _on_common_images(
    names: Sequence[str], runs: Sequence[Result], tallies: Sequence[Tally]
) -> tuple[list[Result], Caution]:
    common = set(tallies[0].keys).intersection(*(tally.keys for tally in tallies[1:]))
    if not common:
        raise SegevalError(
            f"{' and '.join(names[:2])} have no image in common", remedy="compare runs on the same images"
        )
    scored = [subset(run, common) for run in runs]
    most = int(np.max([len(tally) for tally in tallies]))
    text = f"only the {len(common)} images that all runs have are compared (of up to {most})"
    return scored, Caution("common-images", text)
