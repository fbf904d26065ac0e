"""Intervals by hand: two images, of which one is predicted right and the other wrong."""

from __future__ import annotations

import math

import numpy as np
import pytest

from segeval import Interval, SegevalError, with_intervals
from segeval.metrics.reweighting import reweighted
from segeval.statistics.intervals import cautions, jackknife, limits_of, resample, unit_count, unit_of_image
from tests.given.small_runs import run_of_lines

# aAcc is 1 of the first image alone, 0 of the second alone, and 0.5 of both.
RIGHT_AND_WRONG = run_of_lines({"right": ([0, 0, 1, 1], [0, 0, 1, 1]), "wrong": ([0, 0, 1, 1], [1, 1, 0, 0])})
PERCENTILE = Interval(method="percentile", resamples=400)


def test_two_images_are_drawn_as_one_the_other_or_both() -> None:
    evidence = reweighted(RIGHT_AND_WRONG)
    (figures,) = resample([evidence], PERCENTILE, np.arange(2))
    drawn = figures.values[:, evidence.values.index("aAcc")].tolist()
    assert set(drawn) == {0.0, 0.5, 1.0}
    assert 150 < drawn.count(0.5) < 250  # half of the draws take both


def test_the_interval_of_two_such_images_is_everything() -> None:
    found = with_intervals(RIGHT_AND_WRONG, PERCENTILE)
    assert found["aAcc"] == 0.5
    assert found.intervals["aAcc"] == (0.0, 1.0)
    assert [(row["id"], row["Acc"]) for row in found.class_intervals] == [(0, (0.0, 1.0)), (1, (0.0, 1.0))]
    assert found.interval_signature is not None
    assert found.interval_signature.format() == "interval|method:percentile|level:0.95|resamples:400|seed:0|images:2"
    assert dict(found.values) == dict(RIGHT_AND_WRONG.values)


def test_leaving_out_an_image_leaves_the_other() -> None:
    evidence = reweighted(RIGHT_AND_WRONG)
    (left,) = jackknife([evidence], np.arange(2))
    assert left.values[:, evidence.values.index("aAcc")].tolist() == [0.0, 1.0]


def test_images_of_a_group_are_drawn_together() -> None:
    lines = {"right": ([0, 1], [0, 1]), "wrong": ([0, 1], [1, 0])}
    run = run_of_lines({f"{name}{i}": line for i in range(2) for name, line in lines.items()})
    assert run.tally is not None
    assert run.tally.keys == ("right0", "right1", "wrong0", "wrong1")
    mixed = with_intervals(run, PERCENTILE, groups=np.array([0, 1, 0, 1]))
    assert mixed.intervals["aAcc"] == (0.5, 0.5)  # each group is half right, whichever are drawn
    apart = with_intervals(run, PERCENTILE, groups=np.array([0, 0, 1, 1]))
    assert apart.intervals["aAcc"] == (0.0, 1.0)
    assert apart.interval_signature is not None
    assert apart.interval_signature.get("groups") == "2"


def test_a_class_without_truth_and_prediction_has_no_bounds() -> None:
    found = with_intervals(run_of_lines({"a": ([0], [0]), "b": ([0], [0])}), PERCENTILE)
    assert found.class_intervals[0]["IoU"] == (1.0, 1.0)
    assert all(map(math.isnan, found.class_intervals[1]["IoU"]))


def test_units_and_limits() -> None:
    evidence = reweighted(RIGHT_AND_WRONG)
    assert unit_count(evidence, None) == (2, "images")
    assert unit_count(evidence, np.array([0, 0])) == (1, "groups")
    assert unit_of_image(evidence, None).tolist() == [0, 1]
    with pytest.raises(SegevalError, match="needs at least 2 groups, and this run has 1; score more images"):
        unit_of_image(evidence, np.array([0, 0]))
    assert [end.tolist() for end in limits_of(RIGHT_AND_WRONG, ["mIoU", "aAcc"])] == [[0.0, 0.0], [1.0, 1.0]]


def test_few_images_and_rare_classes_are_told() -> None:
    lines = {i: ([0, 1] if i < 3 else [0, 0], [0, 0]) for i in range(120)}
    found = with_intervals(run_of_lines(lines), PERCENTILE)
    assert [c.code for c in found.warnings] == ["rare-classes"]
    assert found.warnings[0].message.startswith("1 of 2 classes are in fewer than 100 images: 1 (3); ")
    few, rare = cautions(reweighted(RIGHT_AND_WRONG), None)
    assert few.message == "2 images are few: intervals and tests over them are not to be relied on"
    assert rare.message.startswith("2 of 2 classes are in fewer than 100 images: 0 (2), 1 (2); ")
    again = with_intervals(with_intervals(RIGHT_AND_WRONG, PERCENTILE), PERCENTILE)
    assert [c.code for c in again.warnings] == ["few-units", "rare-classes"]  # once, however often


def test_without_rows_there_is_nothing_to_draw() -> None:
    with pytest.raises(SegevalError, match="keeps no rows by image; score again with --out"):
        with_intervals(RIGHT_AND_WRONG.with_(tally=None))
