"""Saved runs, ranked: a leaderboard whose letters say which differences are real."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from segeval.comparison.comparability import difference_of
from segeval.comparison.comparing import Difference, compare, mark
from segeval.errors import Caution, SegevalError
from segeval.metrics.metric import Metric
from segeval.metrics.tasks import TASKS
from segeval.results.result import Result
from segeval.results.signature import Signature
from segeval.statistics import intervals as statistics
from segeval.statistics.attributes import group_of_image
from segeval.statistics.resampling import Interval


@dataclass(frozen=True)
class BoardEntry:
    """One line of a board.

    Parameters
    ----------
    rank
        From 1; equal values share a rank.
    name
        What the run is called.
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
    which the boards of a task differ to this board's values; `test` is the one that decides.
    """

    task: str
    metric: str
    columns: tuple[str, ...]
    entries: tuple[BoardEntry, ...]
    p: Mapping[tuple[str, str], float]
    interval: Interval
    signature: Signature
    varying: Mapping[str, str]
    warnings: tuple[Caution, ...] = ()
    test: str = ""


def rank_runs(
    results: Mapping[str, Result],
    *,
    sort: str | None = None,
    columns: Sequence[str] | None = None,
    interval: Interval | None = None,
    groups: Mapping[Any, str] | None = None,
    workers: int | None = None,
) -> tuple[Board, ...]:
    """Rank runs: one board for each task, and for each truth and convention within it.

    Parameters
    ----------
    results
        Runs with their evidence, by name.
    sort
        The value that ranks; a task's headline if None.
    columns
        The values shown; those that the rule names if None. The one that sorts is always among them.
    interval
        How intervals and tests are made; `Interval.for_pairs` if None.
    groups
        The group of each image, for images that depend on one another.
    workers
        Threads; as many as there are cores if None.

    Raises
    ------
    SegevalError
        If there is no run, or no run has the value that should sort or be shown.
    """
    if not results:
        raise SegevalError("there is no run to rank", remedy="give a folder that holds runs")
    for name in [*([sort] if sort else []), *(columns or ())]:
        known = dict.fromkeys(n for r in results.values() for n in r.values)
        if name not in known:
            raise SegevalError(f"no run has the value {name!r}", remedy=f"give one of {', '.join(known)}")
    families: list[list[str]] = []
    for name, run in results.items():
        for family in families:
            if results[family[0]].task == run.task and not difference_of(results[family[0]], run):
                family.append(name)
                break
        else:
            families.append([name])
    tasks = list(TASKS)
    families.sort(key=lambda f: tasks.index(results[f[0]].task) if results[f[0]].task in tasks else len(tasks))
    boards = []
    for family in families:
        others = [results[f[0]] for f in families if f is not family and results[f[0]].task == results[family[0]].task]
        runs = {name: results[name] for name in family}
        pairs = len(runs) * (len(runs) - 1) // 2
        boards.append(_board(runs, sort, columns, interval or Interval.for_pairs(pairs), groups, workers, others))
    return tuple(boards)


def _board(
    runs: Mapping[str, Result],
    sort: str | None,
    columns: Sequence[str] | None,
    interval: Interval,
    groups: Mapping[Any, str] | None,
    workers: int | None,
    others: Sequence[Result],
) -> Board:
    first = next(iter(runs.values()))
    rule: Metric = first.metric
    metric = sort if sort and sort in first.values else rule.headline
    shown = [n for n in columns or rule.shown or tuple(first.values) if n in first.values]
    test = ""
    found: tuple[Difference, ...] = ()
    warnings: tuple[Caution, ...] = ()
    if len(runs) > 1:
        comparison = compare(runs, interval=interval, metric=metric, groups=groups, workers=workers)
        scored = {s.name: s.result for s in comparison.systems}
        found = tuple(d for d in comparison.differences if d.metric == metric)
        warnings, test = comparison.warnings, comparison.test
    else:
        number = None if groups is None or first.tally is None else group_of_image(first.tally.keys, groups)
        scored = {n: statistics.with_intervals(r, interval, groups=number, workers=workers) for n, r in runs.items()}
    names = list(runs)
    value = {name: scored[name].values[metric] for name in names}
    gain = first.figure(metric).gain
    order = sorted(names, key=lambda n: (value[n] != value[n], -gain(value[n]) if value[n] == value[n] else 0.0, n))
    place = {name: i for i, name in enumerate(order)}
    apart = {
        frozenset((place[names[d.first]], place[names[d.second]])) for d in found if d.significant or d.value != d.value
    }
    letters = letter_groups(len(order), apart)
    entries: list[BoardEntry] = []
    for i, name in enumerate(order):
        tied = i > 0 and value[name] == value[order[i - 1]]
        entries.append(BoardEntry(entries[-1].rank if tied else i + 1, name, scored[name], letters[i]))
    varying = dict.fromkeys(key for other in others for key in difference_of(first, other))
    return Board(
        task=first.task,
        metric=metric,
        columns=tuple(dict.fromkeys([metric, *shown])),
        entries=tuple(entries),
        p={(names[d.first], names[d.second]): d.p for d in found},
        interval=interval,
        signature=first.signature,
        varying={key: first.signature.get(key) or "nothing said" for key in varying},
        warnings=warnings,
        test=test,
    )


def letter_groups(count: int, apart: set[frozenset[int]]) -> list[str]:
    """Letters for systems such that two share one exactly if they are not apart (Piepho 2004, insert and absorb)."""
    sets = [frozenset(range(count))]
    for a, b in sorted(tuple(sorted(pair)) for pair in apart):
        split = [
            part for group in sets for part in ([group - {a}, group - {b}] if a in group and b in group else [group])
        ]
        distinct = list(dict.fromkeys(split))
        sets = [group for group in distinct if not any(group < other for other in distinct)]
    sets.sort(key=lambda group: sorted(group))
    return ["".join(mark(n) for n, group in enumerate(sets) if i in group) for i in range(count)]
