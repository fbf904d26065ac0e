"""Tests of a difference by hand: differences that can be counted, and swaps that can be listed."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from segeval.metrics.reweighting import Figures, ReweightedCounts, reweighted
from segeval.statistics.resampling import Interval
from segeval.statistics.significance import bootstrap_p, holm, randomization_p
from tests.given.resampled_runs import run_of

NAN = math.nan


def column(*values: float) -> NDArray[np.float64]:
    """Resampled differences of one figure."""
    return np.array(values)[:, None]


def test_the_bootstrap_counts_draws_that_lie_as_far_from_their_mean() -> None:
    # Their mean is 0.25, from which they lie 0.15, 0.05, 0.05 and 0.15 away.
    drawn = column(0.1, 0.2, 0.3, 0.4)
    assert bootstrap_p(drawn, np.array([0.15])).tolist() == [3 / 5]
    assert bootstrap_p(drawn, np.array([-0.15])).tolist() == [3 / 5]
    assert bootstrap_p(drawn, np.array([0.2])).tolist() == [1 / 5]
    assert bootstrap_p(drawn, np.array([0.0])).tolist() == [1.0]


def test_draws_that_are_undefined_do_not_count() -> None:
    assert bootstrap_p(column(0.1, 0.3, NAN), np.array([0.2])).tolist() == [1 / 3]
    assert math.isnan(bootstrap_p(column(0.1, NAN, NAN), np.array([0.2]))[0])
    assert math.isnan(bootstrap_p(column(0.1, 0.3), np.array([NAN]))[0])


def counted(*right: int) -> ReweightedCounts:
    """A run whose figure is the share of right pixels, of 2 in each image."""
    rows = np.array([(n, 2) for n in right], np.float64)

    def formulas(sums: NDArray[np.int64]) -> Figures:
        return Figures(sums[:, :1] / sums[:, 1:], np.zeros((len(sums), 0, 0)))

    keys = tuple(range(len(right)))
    return ReweightedCounts(keys, ("share",), (), (), (), np.zeros((len(right), 0), bool), rows, formulas)


def test_randomization_lists_every_swap_where_there_are_few() -> None:
    # All 3 images gain a pixel. Of 8 ways to swap, only "none" and "all" leave a difference of 0.5.
    p = randomization_p(counted(1, 1, 1), counted(2, 2, 2), Interval(resamples=40), np.arange(3))
    assert p.tolist() == [2 / 8]


def test_randomization_swaps_groups_whole() -> None:
    # The first two images are one group: of 4 ways to swap, 2 leave all gains on one side.
    p = randomization_p(counted(1, 1, 1), counted(2, 2, 2), Interval(resamples=40), np.array([0, 0, 1]))
    assert p.tolist() == [2 / 4]


def test_randomization_draws_swaps_where_there_are_many() -> None:
    better, worse = counted(*[2] * 12), counted(*[1] * 12)
    p = randomization_p(worse, better, Interval(resamples=99), np.arange(12))  # 2 of the 4096 ways
    assert p.tolist() == [1 / 100]
    assert randomization_p(worse, worse, Interval(resamples=99), np.arange(12)).tolist() == [1.0]


def test_detections_are_not_swapped() -> None:
    first, second = (reweighted(run_of("instance", seed, 4)) for seed in (1, 2))
    p = randomization_p(first, second, Interval(resamples=40), np.arange(4))
    assert np.isnan(p).all()


@pytest.mark.parametrize(
    ("p", "corrected"),
    [
        ([0.01, 0.04, 0.03], [0.03, 0.06, 0.06]),  # 3 x 0.01, 2 x 0.03, and 0.04 falls below that
        ([0.5, 0.6], [1.0, 1.0]),
        ([0.02], [0.02]),
        ([], []),
    ],
)
def test_holm_multiplies_by_the_tests_that_are_left(p: list[float], corrected: list[float]) -> None:
    assert holm(p) == pytest.approx(corrected)
