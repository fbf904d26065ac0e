"""How a suite's members stand: their scores, what they cost, and which of them differ."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from segeval.errors import SegevalError
from segeval.ranking import COLUMNS, Board, letter_groups, rank_runs
from segeval.resampling import Interval
from segeval.result import Result
from segeval_baselines.suite.form import Member, Suite
from segeval_baselines.suite.measuring import Measure, measured
from segeval_baselines.suite.members import failure_of, folder_of, runs_of


@dataclass(frozen=True)
class Row:
    """A member and what became of it.

    Attributes
    ----------
    member
        Which.
    results
        By seed; those of a member that failed half-way are kept here, and left out of the ranking.
    costs
        What each seed's training cost, as its ``steps.json`` says.
    failure
        Why it has no row of numbers, or None.
    measure
        Parameters, time and memory of a prediction; None for references, and where it wasn't taken.
    """

    member: Member
    results: Mapping[int, Result]
    costs: tuple[Mapping[str, Any], ...] = ()
    failure: str | None = None
    measure: Measure | None = None

    @property
    def first(self) -> Result:
        """The first seed's score, which intervals and tests are about."""
        return self.results[self.member.seeds[0]]

    def mean(self, name: str) -> float:
        """A value's mean over the seeds."""
        return statistics.fmean(r.values[name] for r in self.results.values())

    def spread(self, name: str) -> float:
        """Its standard deviation over the seeds (n - 1); NaN for one seed."""
        values = [r.values[name] for r in self.results.values()]
        return statistics.stdev(values) if len(values) > 1 else math.nan


@dataclass(frozen=True)
class Standing:
    """The members that share a task and a data set, best mean first, and the failed ones last.

    Attributes
    ----------
    task, data
        What they share.
    rows
        All of them.
    letters
        By member: systems that share a letter are not significantly different in the first seed's headline value.
    intervals
        By member, of the first seed's values.
    board
        The ranking that letters and intervals come from, or None where nothing was scored.
    """

    task: str
    data: str
    rows: tuple[Row, ...]
    letters: Mapping[str, str] = field(default_factory=dict)
    intervals: Mapping[str, Mapping[str, tuple[float, float]]] = field(default_factory=dict)
    board: Board | None = None

    @property
    def metric(self) -> str:
        """The value that ranks."""
        return COLUMNS[self.task][0]

    @property
    def scored(self) -> list[Row]:
        """The rows with numbers."""
        return [row for row in self.rows if row.failure is None]


def rows_of(suite: Suite, root: Path, device: str = "auto") -> list[Row]:
    """What became of each member, in the order of the suite; what their networks cost on the device is measured."""
    rows = [_row(suite, member, root) for member in suite.members]
    return [r if r.failure else replace(r, measure=measured(suite, r.member, root, device)) for r in rows]


def _row(suite: Suite, member: Member, root: Path) -> Row:
    results, costs = {}, []
    failure: str | None = None
    noted = failure_of(folder_of(root, member))
    for run in runs_of(suite, member, root):
        records = run.ledger.read()
        if not all(s.fresh(records.get(s.name)) for s in run.steps(records)):
            failure = failure or noted or f"seed {run.seed} has not been run"
            continue
        try:
            results[run.seed] = run.result()
        except SegevalError as error:
            failure = failure or str(error)
            continue
        if "train" in records:
            costs.append(records["train"].costs)
    return Row(member, results, tuple(costs), failure)


def standings(rows: Sequence[Row], interval: Interval | None = None) -> list[Standing]:
    """Rank the members of each task and data set.

    Parameters
    ----------
    rows
        From `rows_of`.
    interval
        How intervals and tests are made; `Interval.for_pairs` if None.
    """
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.member.task, row.member.data), []).append(row)
    tasks = list(COLUMNS)
    ordered = sorted(groups.items(), key=lambda item: tasks.index(item[0][0]))
    return [_standing(task, data, members, interval) for (task, data), members in ordered]


def _standing(task: str, data: str, rows: Sequence[Row], interval: Interval | None) -> Standing:
    metric = COLUMNS[task][0]
    scored = [row for row in rows if row.failure is None]
    failed = [row for row in rows if row.failure is not None]

    def place(row: Row) -> tuple[bool, float, str]:
        value = row.mean(metric)
        return value != value, 0.0 if value != value else -value, row.member.name

    scored.sort(key=place)
    if not scored:
        return Standing(task, data, tuple(failed))
    firsts = {row.member.name: row.first for row in scored}
    boards = rank_runs(firsts, interval=interval)
    if len(boards) > 1:
        raise SegevalError(f"members on {data} were scored on different truths", remedy="run the suite again")
    board = boards[0]
    names = [row.member.name for row in scored]
    apart = {
        frozenset((names.index(a), names.index(b))) for (a, b), p in board.p.items() if not p > board.interval.alpha
    }
    letters = letter_groups(len(names), apart)
    return Standing(
        task,
        data,
        (*scored, *failed),
        dict(zip(names, letters, strict=True)),
        {entry.name: entry.result.intervals for entry in board.entries},
        board,
    )
