"""Leaderboards: one board a task, its ranks, letters and forms."""

from __future__ import annotations

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segeval.comparison.ranking import letter_groups, rank_runs
from segeval.comparison.ranking_tables import FORMS, render
from segeval.errors import SegevalError
from segeval.statistics.resampling import Interval
from tests.given.resampled_runs import TASKS, run_of

FAST = Interval(resamples=60)


@given(st.integers(1, 7), st.data())
def test_two_share_a_letter_exactly_if_they_are_not_apart(count, data):
    pairs = [frozenset((a, b)) for a in range(count) for b in range(a)]
    apart = data.draw(st.sets(st.sampled_from(pairs))) if pairs else set()
    letters = letter_groups(count, apart)
    for a in range(count):
        for b in range(a):
            assert (not set(letters[a]) & set(letters[b])) == (frozenset((a, b)) in apart)
    # No letter can be left out: its members are those of no other.
    members = [{i for i in range(count) if c in letters[i]} for c in sorted(set("".join(letters)))]
    assert not any(m < n for m in members for n in members)


def test_one_board_a_task_best_first():
    runs = {f"{task}{seed}": run_of(task, seed, 8) for seed in range(3) for task in TASKS}
    boards = rank_runs(runs, interval=FAST)
    assert [(b.task, b.metric) for b in boards] == [("semantic", "mIoU"), ("panoptic", "PQ"), ("instance", "AP")]
    for board in boards:
        values = [e.result[board.metric] for e in board.entries]
        assert values == sorted(values, reverse=True)
        assert [e.rank for e in board.entries] == [1, 2, 3]
        assert {e.name for e in board.entries} == {n for n in runs if n.startswith(board.task)}
        assert len(board.p) == 3
        assert not board.varying


def test_sort_and_columns():
    runs = {str(seed): run_of("panoptic", seed, 8) for seed in range(4)}
    (board,) = rank_runs(runs, sort="RQ", columns=["PQ", "tp"][:1], interval=FAST)
    assert board.columns == ("RQ", "PQ")
    values = [e.result["RQ"] for e in board.entries]
    assert values == sorted(values, reverse=True)
    with pytest.raises(SegevalError, match="no run has the value 'mIoU'; give one of PQ"):
        rank_runs(runs, sort="mIoU")


def test_equal_runs_share_rank_and_letter():
    run = run_of("semantic", 1, 8)
    (board,) = rank_runs({"x": run, "y": run}, interval=FAST)
    assert [(e.rank, e.name, e.letters) for e in board.entries] == [(1, "x", "a"), (1, "y", "a")]


def test_other_conventions_make_another_board():
    runs = {"a": run_of("semantic", 1, 8), "b": run_of("semantic", 2, 8, absent="zero"), "c": run_of("semantic", 3, 8)}
    one, two = rank_runs(runs, interval=FAST)
    assert ({e.name for e in one.entries}, dict(one.varying)) == ({"a", "c"}, {"absent": "skip"})
    assert ({e.name for e in two.entries}, dict(two.varying)) == ({"b"}, {"absent": "zero"})
    text = render([one, two])
    assert "(absent: skip)" in text
    assert "(absent: zero)" in text


@pytest.mark.parametrize("form", FORMS)
def test_every_form_holds_every_run(form):
    runs = {"plain": run_of("semantic", 1, 8), "x_<b>|&": run_of("semantic", 2, 8), "p": run_of("panoptic", 2, 8)}
    text = render(rank_runs(runs, interval=FAST), form)
    escaped = {"markdown": r"x_<b>\|&", "latex": r"x\_<b>|\&", "html": "x_&lt;b&gt;|&amp;"}
    assert escaped.get(form, "x_<b>|&") in text
    if form == "latex":
        assert text.count(r"\toprule") == 2
    if form == "json":
        assert [len(b["entries"]) for b in json.loads(text)] == [2, 1]
    if form == "csv":
        rows = list(csv.DictReader(io.StringIO(text)))
        values = dict(zip([r["system"] for r in rows], [r["mIoU"] for r in rows], strict=True))
        assert float(values["plain"]) == runs["plain"]["mIoU"]
        assert values["p"] == ""


def test_a_run_without_images_is_refused():
    run = run_of("panoptic", 1, 3)
    nothing = run.metric.score(run.tally.take([]))
    with pytest.raises(SegevalError, match=r"no rows by image|no image"):
        rank_runs({"a": nothing, "b": nothing}, interval=FAST)
