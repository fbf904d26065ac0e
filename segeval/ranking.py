"""Runs found in folders, ranked: a leaderboard whose ranks say which differences are real."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from segeval.errors import Caution
from segeval.resampling import Interval
from segeval.result import Result
from segeval.signature import Signature


@dataclass(frozen=True)
class Entry:
    """One line of a board.

    Parameters
    ----------
    rank
        From 1; equal values share a rank.
    name
        The run's folder, as short as it stays unique.
    result
        The run, with intervals.
    letters
        Systems that share a letter are not significantly different in the metric that sorts.
    """

    rank: int
    name: str
    result: Result
    letters: str


@dataclass(frozen=True)
class Board:
    """Runs of one task on one truth under one convention, best first.

    `metric` is the one that sorts; `p` holds the Holm-corrected p of each pair of names; `varying` maps the keys in
    which this board's convention differs from those of other boards of its task to its own values.
    """

    task: str
    metric: str
    columns: tuple[str, ...]
    entries: tuple[Entry, ...]
    p: Mapping[tuple[str, str], float]
    interval: Interval
    signature: Signature
    varying: Mapping[str, str]
    warnings: tuple[Caution, ...] = ()
