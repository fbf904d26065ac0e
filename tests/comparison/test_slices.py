"""Numbers for parts of the images, and how far the parts lie apart."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segeval.comparison.slices import UNKNOWN, slice_result
from segeval.errors import SegevalError
from segeval.metrics.reweighting import reweighted
from segeval.metrics.tasks import saved_rule
from segeval.statistics.resampling import Interval
from tests.given.resampled_runs import TASKS, run_of
from tests.given.small_runs import run_of_lines

FAST = Interval(resamples=60)


@settings(max_examples=20)
@given(st.sampled_from(TASKS), st.integers(0, 1000))
def test_a_slice_scores_as_its_images_alone(task, seed):
    run = run_of(task, seed, 9)
    attributes = {str(i): {"light": "night" if i % 3 == 0 else "day"} for i in range(8)}
    found = slice_result(run, attributes, interval=FAST)
    assert [(s.value, s.result.images) for s in found.slices] == [("day", 5), ("night", 3), (UNKNOWN, 1)]
    for s, keys in zip(found.slices, ([1, 2, 4, 5, 7], [0, 3, 6], [8]), strict=True):
        alone = run.metric.score(run.tally.take(keys))
        assert np.array_equal(list(s.result.values.values()), list(alone.values.values()), equal_nan=True)
    headline = reweighted(run).values[0]
    gap = next(g for g in found.gaps if g.metric == headline)
    values = {s.value: s.result[headline] for s in found.slices[:2]}
    if not any(map(math.isnan, values.values())):
        assert gap.value == max(values.values()) - min(values.values())
        assert values[gap.best] >= values[gap.worst]


def test_classes_found_in_the_whole_hold_in_a_slice():
    """A slice without a class's truth must not take its predictions for something outside all classes."""
    run = run_of("semantic", 2, 8)
    free = saved_rule(dict(run.rule) | {"taxonomy": None})
    whole = free.score(run.tally)
    for part in slice_result(whole, {str(i): {"odd": str(i % 2)} for i in range(8)}).slices:
        assert len(part.result.per_class) == len(whole.per_class)


def test_what_slices_refuse():
    run = run_of("semantic", 1, 60)
    with pytest.raises(SegevalError, match=r"the slices name the image 'x\.png' and 1 more"):
        slice_result(run, {"x.png": {"light": "day"}, "y": {"light": "day"}})
    with pytest.raises(SegevalError, match="'light' has 60 values"):
        slice_result(run, {str(i): {"light": str(i / 7)} for i in range(60)})


# Right of 2 pixels: 2 and 2 by day, 1 and 0 by night, and nobody knows of the last.
LINES = {
    "d1": ([0, 1], [0, 1]),
    "d2": ([0, 1], [0, 1]),
    "n1": ([0, 1], [0, 0]),
    "n2": ([0, 1], [1, 0]),
    "x": ([0, 1], [1, 1]),
}
LIGHT = {key: {"light": "day" if key[0] == "d" else "night"} for key in ("d1", "d2", "n1", "n2")}


def test_slices_by_hand():
    found = slice_result(run_of_lines(LINES), LIGHT)
    assert [(s.attribute, s.value, s.result["aAcc"]) for s in found.slices] == [
        ("light", "day", 4 / 4),
        ("light", "night", 1 / 4),
        ("light", UNKNOWN, 1 / 2),
    ]
    (gap,) = (g for g in found.gaps if g.metric == "aAcc")
    assert (gap.best, gap.worst, gap.value) == ("day", "night", 3 / 4)
    assert math.isnan(gap.low)
    assert math.isnan(gap.high)
    assert found.whole["aAcc"] == 6 / 10


def test_a_gap_has_bounds_where_both_slices_have_images_to_draw():
    found = slice_result(run_of_lines(LINES), LIGHT, interval=FAST)
    (gap,) = (g for g in found.gaps if g.metric == "aAcc")
    assert gap.low <= gap.value <= gap.high
    # By day all draws are right; by night they are 0, 1/4 or 1/2, so the gap moves by a quarter at most.
    assert gap.high - gap.low <= 1 / 2
    single = slice_result(run_of_lines(LINES), {**LIGHT, "n2": {"light": "dusk"}}, interval=FAST)
    (gap,) = (g for g in single.gaps if g.metric == "aAcc")
    assert (gap.best, gap.worst) == ("day", "dusk")
    assert math.isnan(gap.low)


def test_each_attribute_has_slices_of_its_own():
    attributes = {key: {**row, "first": "yes" if key[1] == "1" else "no"} for key, row in LIGHT.items()}
    found = slice_result(run_of_lines(LINES), attributes)
    assert [(s.attribute, s.value) for s in found.slices] == [
        *(("light", value) for value in ("day", "night", UNKNOWN)),
        *(("first", value) for value in ("no", "yes", UNKNOWN)),
    ]


def test_slices_need_rows_by_image():
    run = run_of_lines(LINES)
    for tally in (None, run.tally.collapse()):
        with pytest.raises(SegevalError, match="keeps no rows by image; score again with --out"):
            slice_result(run.with_(tally=tally), LIGHT)
