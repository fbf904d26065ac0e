"""How a suite's members stand: their scores, what they cost, and which of them differ."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from segeval.comparison.ranking import Board, letter_groups, rank_runs
from segeval.errors import SegevalError
from segeval.metrics.tasks import TASKS, rule_of
from segeval.results.result import Result
from segeval.statistics.resampling import Interval
from segeval_baselines.suite.form import Member, Suite
from segeval_baselines.suite.kinds import KINDS
from segeval_baselines.suite.measuring import Measure, measured
from segeval_baselines.suite.members import failure_of, folder_of, runs_of

THINGS = "mIoU things"
"""Mean IoU over the things alone, which a detector without stuff has too."""


@dataclass(frozen=True)
class Row:
    """A member and what became of it.

    Attributes
    ----------
    member
        Which.
    task
        Of the table that the row stands in: the member's, or ``semantic`` for a detector's converted predictions.
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
    task: str
    results: Mapping[int, Result]
    costs: tuple[Mapping[str, Any], ...] = ()
    failure: str | None = None
    measure: Measure | None = None

    @property
    def converted(self) -> bool:
        """Whether these are a detector's predictions as label maps."""
        return self.task != self.member.task

    @property
    def knows_stuff(self) -> bool:
        """Whether it predicts every class: as label maps, instances have no stuff."""
        return KINDS[self.member.task].stuff or not self.converted

    @property
    def first(self) -> Result:
        """The first seed's score, which intervals and tests are about."""
        return self.results[self.member.seeds[0]]

    def value(self, seed: int, name: str) -> float:
        """A value of one seed; NaN where it would be about classes that the member can't predict."""
        if name == THINGS:
            return things_iou(self.results[seed])
        return self.results[seed].values[name] if self.knows_stuff else math.nan

    def mean(self, name: str) -> float:
        """A value's mean over the seeds."""
        return statistics.fmean(self.value(seed, name) for seed in self.results)

    def spread(self, name: str) -> float:
        """Its standard deviation over the seeds (n - 1); NaN for one seed."""
        values = [self.value(seed, name) for seed in self.results]
        return statistics.stdev(values) if len(values) > 1 else math.nan


def things_iou(result: Result) -> float:
    """Mean IoU over the things that are defined; NaN where the classes don't tell things from stuff."""
    taxonomy = result.taxonomy
    if taxonomy.things is None:
        return math.nan
    things = {i for i, thing in zip(taxonomy.ids, taxonomy.things, strict=True) if thing}
    found = [row["IoU"] for row in result.per_class if row["id"] in things and not math.isnan(row["IoU"])]
    return statistics.fmean(found) if found else math.nan


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
        The ranking that letters and intervals come from; None where nothing was scored, or a single image.
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
        return rule_of(self.task).headline

    @property
    def signature(self) -> str:
        """Under which conventions all of them were scored; empty where nothing was."""
        return self.scored[0].first.signature.format() if self.scored else ""

    @property
    def columns(self) -> tuple[str, ...]:
        """The values shown; label maps whose classes tell things from stuff have one more."""
        rule = rule_of(self.task)
        known = "IoU" in rule.class_figures and any(not math.isnan(row.mean(THINGS)) for row in self.scored)
        return (*rule.shown, *([THINGS] if known else []))

    @property
    def scored(self) -> list[Row]:
        """The rows with numbers."""
        return [row for row in self.rows if row.failure is None]


def rows_of(suite: Suite, root: Path, device: str = "auto") -> list[Row]:
    """What became of each member, in the order of the suite; what their networks cost on the device is measured.

    A detector that meets semantic networks has two rows.
    """
    found = []
    for member in suite.members:
        rows = _rows(suite, member, root)
        cost = measured(suite, member, root, device) if any(row.failure is None for row in rows) else None
        found += [row if row.failure else replace(row, measure=cost) for row in rows]
    return found


def _rows(suite: Suite, member: Member, root: Path) -> list[Row]:
    runs = runs_of(suite, member, root)
    results: dict[int, Result] = {}
    converted: dict[int, Result] = {}
    costs = []
    failure: str | None = None
    noted = failure_of(folder_of(root, member))
    for run in runs:
        records = run.ledger.read()
        if not all(s.fresh(records.get(s.name)) for s in run.steps(records)):
            failure = failure or noted or f"seed {run.seed} has not been run"
            continue
        try:
            results[run.seed] = run.result()
            if (again := run.converted_result()) is not None:
                converted[run.seed] = again
        except SegevalError as error:
            failure = failure or str(error)
            continue
        if "train" in records:
            costs.append(records["train"].costs)
    rows = [Row(member, member.task, results, tuple(costs), failure)]
    if runs[0].label_maps is not None:
        rows.append(Row(member, runs[0].label_maps.task, converted, tuple(costs), failure))
    return rows


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
        groups.setdefault((row.task, row.member.data), []).append(row)
    tasks = list(TASKS)
    ordered = sorted(groups.items(), key=lambda item: tasks.index(item[0][0]))
    return [_standing(task, data, members, interval) for (task, data), members in ordered]


def _standing(task: str, data: str, rows: Sequence[Row], interval: Interval | None) -> Standing:
    metric = rule_of(task).headline
    scored = [row for row in rows if row.failure is None]
    failed = [row for row in rows if row.failure is not None]

    def place(row: Row) -> tuple[bool, float, str]:
        value = row.mean(metric)
        return value != value, 0.0 if value != value else -value, row.member.name

    # The undefined ones come last, so that the tested ones keep their places in what follows.

    scored.sort(key=place)
    if not scored:
        return Standing(task, data, tuple(failed))
    tested = [row for row in scored if row.knows_stuff]
    if not tested or tested[0].first.images < 2:  # a single image says nothing about others
        return Standing(task, data, (*scored, *failed))
    boards = rank_runs({row.member.name: row.first for row in tested}, interval=interval)
    if len(boards) > 1:
        raise SegevalError(f"members on {data} were scored on different truths", remedy="run the suite again")
    board = boards[0]
    names = [row.member.name for row in tested]
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
