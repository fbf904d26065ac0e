"""What resampling must obey, whatever the data."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from segeval.errors import SegevalError
from segeval.metrics.reweighting import left_out, reweighted
from segeval.statistics import intervals as statistics
from segeval.statistics import resampling
from segeval.statistics.bounds import bounds
from segeval.statistics.resampling import METHODS, Interval, drawn, every_swap, swapped
from segeval.statistics.significance import bootstrap_p, holm, randomization_p
from tests.given.resampled_runs import TASKS, repeated, run_of

seeds = st.integers(0, 2**31)
tasks = st.sampled_from(TASKS)
# Bits of 4 area ranges and 19 thresholds don't fit into one word; 64 thresholds fill one.
MANY = {"iou_thresholds": tuple(np.linspace(0.05, 0.95, 19).tolist())}
OPTIONS = {
    "semantic": [{}, {"average": "image"}, {"absent": "zero"}, {"exclude": ("1",)}],
    "panoptic": [{}, {"absent": "zero"}],
    "instance": [{}, {"max_dets": (2, 3)}, {"max_dets": (1, 100, 300), "protocol": "pycocotools"}, MANY],
}


def same(a: object, b: object) -> bool:
    return np.array_equal(np.asarray(a, np.float64), np.asarray(b, np.float64), equal_nan=True)


def classes_of(result, names):
    return [[row[n] for n in names] for row in sorted(result.per_class, key=lambda r: r["id"])]


@given(tasks, seeds, st.integers(1, 9), st.data())
def test_weights_of_one_are_the_score(task, seed, images, data):
    result = run_of(task, seed, images, **data.draw(st.sampled_from(OPTIONS[task])))
    evidence = reweighted(result)
    once = evidence.at(np.ones((1, images)))
    assert evidence.values == tuple(result.values)
    assert same(once.values[0], list(result.values.values()))
    assert same(once.classes[0], classes_of(result, evidence.figures))


@given(tasks, seeds, st.lists(st.integers(0, 4), min_size=2, max_size=7).filter(any), st.data())
def test_weights_are_a_data_set_with_repeated_images(task, seed, times, data):
    result = run_of(task, seed, len(times), **data.draw(st.sampled_from(OPTIONS[task])))
    evidence = reweighted(result)
    weighted = evidence.at(np.array([times], np.float64))
    again = result.metric.score(repeated(result.tally, times))
    assert same(weighted.values[0], list(again.values.values()))
    assert same(weighted.classes[0], classes_of(again, evidence.figures))


def test_a_word_full_of_thresholds():
    result = run_of("instance", 1, 6, iou_thresholds=tuple(np.linspace(0.1, 0.9, 64).tolist()), area_ranges=())
    times = [2, 0, 1, 3, 1, 1]
    again = result.metric.score(repeated(result.tally, times))
    assert same(reweighted(result).at(np.array([times], np.float64)).values[0], list(again.values.values()))


def test_counts_beyond_exact_floats_stay_exact():
    result = run_of("semantic", 3, 4)
    rows = result.tally.tables["pixels"]
    rows.counts["pixels"][:] = rows.counts["pixels"] + 2**50
    again = result.metric.score(repeated(result.tally, [3, 0, 2, 4]))
    assert same(reweighted(result).at(np.array([[3.0, 0, 2, 4]])).values[0], list(again.values.values()))


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("method", METHODS)
def test_identical_images_give_zero_width(task, method):
    result = run_of(task, 5, 3, classes=2)
    same_images = result.metric.score(repeated(result.tally, [7, 0, 0]))
    found = statistics.with_intervals(same_images, Interval(method, resamples=50))
    for name, (low, high) in found.intervals.items():
        assert same([low, high], [same_images[name]] * 2), name
    for row, own in zip(found.class_intervals, same_images.per_class, strict=True):
        for name, ends in row.items():
            assert name == "id" or same(ends, [own[name]] * 2), name


def test_draws_keep_multiplicity_and_converge_to_the_counts():
    weights = drawn(7, range(4000), 30)
    assert (weights.sum(axis=1) == 30).all()
    assert weights.max() > 3
    # The multinomial: mean 1, variance 1 - 1/n, covariance -1/n; five standard errors of the mean.
    assert np.abs(weights.mean(axis=0) - 1).max() < 5 / math.sqrt(4000)
    assert np.abs(weights.var(axis=0) - 29 / 30).max() < 5 * math.sqrt(2.9 / 4000)
    result = run_of("semantic", 1, 30)
    areas = result.metric.areas(result.tally, result.metric.taxonomy, per_image=True)
    mean = np.tensordot(weights, areas, ([1], [1])).mean(axis=0)
    spread = np.tensordot(weights, areas, ([1], [1])).std(axis=0)
    assert (np.abs(mean - areas.sum(axis=1)) <= 5 * spread / math.sqrt(4000) + 1e-6).all()


def test_resamples_depend_on_their_index_alone():
    together = drawn(3, range(20), 11)
    assert same(together[13:15], drawn(3, range(13, 15), 11))
    assert not same(together, drawn(4, range(20), 11))
    assert len({tuple(row) for row in together.tolist()}) > 15
    flips = swapped(3, range(2000), 70)
    assert set(np.unique(flips)) == {0.0, 1.0}
    assert np.abs(flips.mean(axis=0) - 0.5).max() < 5 * 0.5 / math.sqrt(2000)


@pytest.mark.parametrize("task", TASKS)
def test_same_seed_same_bits_on_any_number_of_workers(task, monkeypatch):
    result = run_of(task, 11, 12)
    one = statistics.with_intervals(result, Interval(resamples=90, seed=5), workers=1)
    monkeypatch.setattr(resampling, "CHUNK_BYTES", 12 * 8 * 4)
    many = statistics.with_intervals(result, Interval(resamples=90, seed=5), workers=4)
    other = statistics.with_intervals(result, Interval(resamples=90, seed=6), workers=1)
    assert same(list(one.intervals.values()), list(many.intervals.values()))
    for mine, theirs in zip(one.class_intervals, many.class_intervals, strict=True):
        assert all(same(mine[name], theirs[name]) for name in theirs)
    assert not same(list(one.intervals.values()), list(other.intervals.values()))


def test_drawing_groups_is_drawing_their_sums():
    result = run_of("semantic", 2, 9)
    groups = np.array([0, 0, 1, 2, 2, 2, 3, 1, 0])
    evidence = reweighted(result)
    figures = statistics.resample([evidence], Interval(resamples=40), groups)[0]
    weights = drawn(0, range(40), 4)[:, groups]
    assert same(figures.values, evidence.at(weights).values)
    single = statistics.with_intervals(result, Interval(resamples=40), groups=np.arange(9)[::-1].copy())
    assert single.interval_signature.get("groups") == "9"


def _every_resample(units: int) -> np.ndarray:
    rows = np.array(list(itertools.product(range(units), repeat=units)))
    return np.stack([(rows == i).sum(axis=1) for i in range(units)], axis=1).astype(float)


EVERY_SIX = _every_resample(6)
DRAWN_SIX = drawn(1, range(3000), 6)


@given(seeds)
def test_bca_is_efrons_at_six_images(seed):
    """Against the definition, image by image, over all 6^6 resamples."""
    data = np.round(np.random.default_rng(seed).exponential(1, 6), 2)
    samples = (EVERY_SIX @ data / 6)[::7]
    estimate = data.mean()
    left = np.array([np.delete(data, i).mean() for i in range(6)])
    below = sum(1.0 if s < estimate else 0.5 if s == estimate else 0.0 for s in samples) / len(samples)
    z0 = stats.norm.ppf(min(max(below, 0.5 / len(samples)), 1 - 0.5 / len(samples)))
    away = [left.mean() - v for v in left]
    square = sum(v * v for v in away)
    a = sum(v**3 for v in away) / (6 * square**1.5) if square else 0.0
    expected = []
    for tail in (0.05, 0.95):
        z = z0 + stats.norm.ppf(tail)
        expected.append(np.quantile(samples, stats.norm.cdf(z0 + z / (1 - a * z))))
    got = bounds(samples[:, None], np.array([estimate]), Interval("bca", level=0.9), left[:, None])[:, 0]
    assert got == pytest.approx(expected, abs=1e-9)


@given(seeds)
def test_percentile_and_bca_agree_with_scipy(seed):
    data = np.random.default_rng(seed).gamma(2, 1, 20)
    for method, name in (("percentile", "percentile"), ("bca", "BCa")):
        theirs = stats.bootstrap(
            (data,), np.mean, n_resamples=300, method=name, rng=np.random.default_rng(seed), vectorized=True, axis=-1
        )
        left = np.array([np.delete(data, i).mean() for i in range(len(data))])
        samples = theirs.bootstrap_distribution[:, None]
        ours = bounds(samples, np.array([data.mean()]), Interval(method), left[:, None])[:, 0]
        assert ours == pytest.approx(list(theirs.confidence_interval), abs=1e-9)


def test_scaled_is_centred_and_as_wide_as_the_jackknife():
    data = np.random.default_rng(0).gamma(2, 0.1, 25)
    samples = drawn(0, range(4000), 25) @ data / 25
    left = (data.sum() - data) / 24
    low, high = bounds(samples[:, None], np.array([data.mean()]), Interval("scaled"), left[:, None])[:, 0]
    error = data.std(ddof=1) / 5
    assert (high - low) / (2 * 1.96 * error) == pytest.approx(1, abs=0.05)
    shifted = bounds(samples[:, None] + 0.2, np.array([data.mean()]), Interval("scaled"), left[:, None])[:, 0]
    assert shifted == pytest.approx([low, high], abs=1e-12)


def test_undefined_resamples():
    samples = np.array(
        [[0.1, np.nan, 0.3], [0.2, np.nan, 0.3], [0.3, 0.5, np.nan], [0.4, 0.6, 0.3], [0.5, np.nan, 0.3]]
    )
    low, high = bounds(samples, np.array([0.3, 0.5, 0.3]), Interval("percentile"))
    assert same([low[0], high[0]], np.quantile(samples[:, 0], [0.025, 0.975]))
    assert math.isnan(low[1])  # defined in two of five
    assert low[2] == high[2] == 0.3  # four of five
    assert np.isnan(bounds(samples[:, :1], np.array([np.nan]), Interval("percentile"))).all()


def test_a_class_in_one_image_has_no_interval():
    result = run_of("semantic", 4, 12, classes=2)
    rows = result.tally.tables["pixels"]
    rare = (rows["truth"] != 1) & (rows["prediction"] != 1) | (rows.image == 3)
    result.tally.tables["pixels"] = rows.select(rare)
    found = statistics.with_intervals(result.metric.score(result.tally), Interval(resamples=400))
    assert all(math.isnan(v) for v in found.class_intervals[1]["IoU"])
    assert not any(math.isnan(v) for v in found.class_intervals[0]["IoU"])
    assert [w.code for w in found.warnings if "1 (1)" in w.message] == ["rare-classes"]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_holm_is_closed_testing_by_bonferroni(p):
    """An hypothesis falls where every intersection that holds it does."""
    expected = []
    for i in range(len(p)):
        sets = [s for r in range(1, len(p) + 1) for s in itertools.combinations(range(len(p)), r) if i in s]
        expected.append(max(min(1.0, len(s) * min(p[j] for j in s)) for s in sets))
    assert holm(p) == pytest.approx(expected, abs=1e-12)


def test_holm_passes_over_what_was_not_tested():
    assert same(holm([0.01, math.nan, 0.04, 0.03]), [0.03, math.nan, 0.06, 0.06])


@given(st.sampled_from(["semantic", "panoptic"]), seeds)
def test_randomization_is_every_swap_at_six_images(task, seed):
    a, b = (reweighted(run_of(task, s, 6)) for s in (seed, seed + 1))
    p = randomization_p(a, b, Interval(resamples=64), np.arange(6))
    ones = np.ones((1, 6))
    observed = b.at(ones).values[0] - a.at(ones).values[0]
    reached = np.zeros(len(observed))
    defined = np.zeros(len(observed))
    for swaps in every_swap(6):
        mine = a.formulas((np.where(swaps[:, None], b.rows, a.rows).sum(axis=0)[None]).astype(np.int64))
        theirs = b.formulas((np.where(swaps[:, None], a.rows, b.rows).sum(axis=0)[None]).astype(np.int64))
        difference = theirs.values[0] - mine.values[0]
        defined += ~np.isnan(difference)
        reached += np.abs(difference) >= np.abs(observed) - 1e-12
    expected = np.where(np.isnan(observed) | (defined < 32), np.nan, reached / np.maximum(defined, 1))
    assert p == pytest.approx(expected, nan_ok=True)


def test_randomization_agrees_with_scipy_on_a_mean():
    """Pixel accuracy over images of one size is a mean, which scipy can permute too."""
    first, second = (reweighted(run_of("semantic", s, 8, classes=1, void=(255,))) for s in (1, 2))
    for e, seed in ((first, 1), (second, 2)):
        e.rows[:] = 0
        e.rows[:, 0] = np.random.default_rng(seed).integers(0, 100, 8)
        e.rows[:, 1] = 100
    name = first.values.index("aAcc")
    ours = randomization_p(first, second, Interval(resamples=256), np.arange(8))[name]
    theirs = stats.permutation_test(
        (second.rows[:, 0], first.rows[:, 0]), lambda x, y: np.mean(x) - np.mean(y), permutation_type="samples"
    ).pvalue
    assert ours == pytest.approx(theirs)


@given(seeds)
def test_bootstrap_p_is_the_share_of_all_resamples_at_six_images(seed):
    change = np.random.default_rng(seed).normal(0.02, 0.05, 6)
    every = EVERY_SIX @ change / 6
    exact = np.mean(np.abs(every - every.mean()) >= abs(change.mean()) - 1e-12)
    p = bootstrap_p((DRAWN_SIX @ change / 6)[:, None], np.array([change.mean()]))[0]
    assert abs(p - exact) < 5 * math.sqrt(0.25 / 3000) + 1 / 3000


def test_the_bootstrap_test_takes_the_wider_spread():
    rng = np.random.default_rng(0)
    samples, observed = rng.normal(0.1, 0.05, (999, 1)), np.array([0.1])
    left = 0.1 + rng.normal(0, 1, (50, 1))
    left *= 0.1 / (left.std() * math.sqrt(49))  # the jackknife finds twice the spread
    plain, wide = bootstrap_p(samples, observed)[0], bootstrap_p(samples, observed, left)[0]
    assert plain == pytest.approx(2 * stats.norm.sf(2), abs=0.03)
    assert wide == pytest.approx(2 * stats.norm.sf(1), abs=0.05)
    assert bootstrap_p(samples, observed, left / 100)[0] == plain


@pytest.mark.parametrize("task", ["semantic", "panoptic"])
def test_no_difference_is_called_real_too_often(task):
    """Two systems of one distribution: P(p <= alpha) stays below alpha plus noise."""
    found = []
    for trial in range(120):
        a, b = (reweighted(run_of(task, 1000 * trial + s, 25)) for s in (0, 1))
        found.append(randomization_p(a, b, Interval(resamples=99, seed=trial), np.arange(25))[0])
    for alpha in (0.05, 0.1, 0.3):
        noise = 3 * math.sqrt(alpha * (1 - alpha) / len(found))
        assert np.mean(np.array(found) <= alpha) <= alpha + noise
    assert np.mean(found) > 0.3


@given(tasks, seeds)
def test_leaving_out_is_a_weight_of_none(task, seed):
    evidence = reweighted(run_of(task, seed, 7))
    block = np.array([0, 1, 1, 2, 3, 0, 3])
    found, expected = evidence.without(block, range(1, 4)), evidence.at(left_out(block, range(1, 4)))
    assert same(found.values, expected.values)
    assert same(found.classes, expected.classes)


def test_left_out_blocks_cover_every_unit_once():
    block = resampling.blocks(1003, 50)
    assert set(block.tolist()) == set(range(50))
    assert np.bincount(block).max() - np.bincount(block).min() <= 1
    assert ((1 - left_out(block, range(50))).sum(axis=0) == 1).all()
    assert resampling.blocks(7, 50).tolist() == list(range(7))


@pytest.mark.parametrize(
    "wrong",
    [
        {"method": "normal"},
        {"level": 1.0},
        {"level": 95},
        {"resamples": 0},
        {"resamples": 39},
        {"resamples": 199, "level": 0.99},
        {"seed": -1},
        {"level": math.nan},
    ],
)
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(SegevalError):
        Interval(**wrong)


def test_too_few_images_are_refused():
    with pytest.raises(SegevalError, match="at least 2 images"):
        statistics.with_intervals(run_of("semantic", 0, 1))
    with pytest.raises(SegevalError, match="at least 2 groups"):
        statistics.with_intervals(run_of("semantic", 0, 5), groups=np.zeros(5, np.int64))
    folded = run_of("semantic", 0, 5)
    with pytest.raises(SegevalError, match="no rows by image"):
        statistics.with_intervals(folded.with_(tally=folded.tally.collapse()))
