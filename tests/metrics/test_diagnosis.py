"""Diagnosis: it moves no number, and what it says of hand-made and random errors is what was done."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segeval.metrics.diagnosis import Confusions, diagnosis_tables, frequent_confusions, part_of, worst_images
from segeval.metrics.instance.errors import ERRORS, error_costs, threshold_curve
from segeval.metrics.instance.rule import InstanceAP
from segeval.metrics.panoptic.quality_loss import quality_loss
from segeval.metrics.panoptic.rule import PanopticQuality
from segeval.metrics.semantic.borders import border_split
from segeval.metrics.semantic.rule import SemanticIoU
from segeval.results.result import Result
from segeval.results.tables import to_text
from segeval.samples.pairs import Pair
from segeval.samples.panoptic import from_arrays
from segeval.samples.taxonomy import Taxonomy
from segeval.scoring.evaluation import score
from tests.given.datasets import dataset

THINGS = Taxonomy((1, 2, 3, 9), ("cat", "dog", "sky", "never"), (True, True, False, False))


def label_pairs(seed, count=4, classes=3):
    rng = np.random.default_rng(seed)
    out = []
    for k in range(count):
        truth = np.kron(rng.integers(0, classes, (4, 5)), np.ones((6, 7), int)).astype(np.uint8)
        prediction = truth.copy()
        prediction[rng.random(truth.shape) < 0.2] = rng.integers(0, classes)
        prediction[rng.random(truth.shape) < 0.05] = 255
        truth[rng.random(truth.shape) < 0.05] = 255
        out.append(Pair(f"{k}", truth, prediction))
    return out


def panoptic_pair(key, truth, truth_segments, prediction, segments):
    def side(pixels, listed, name):
        entries = [{"id": i, "category_id": c, "iscrowd": int(crowd)} for i, c, crowd in listed]
        return from_arrays(np.array(pixels, np.uint32), entries, name, key)

    return Pair(key, side(truth, truth_segments, "truth"), side(prediction, segments, "prediction"))


def random_panoptic(seed, key):
    """Rectangles on both sides, crowds and void among them."""
    rng = np.random.default_rng(seed)
    sides = []
    for crowds in (True, False):
        pixels = np.zeros((12, 14), np.uint32)
        for ident in range(1, 7):
            y, x, h, w = rng.integers(0, 9), rng.integers(0, 11), rng.integers(2, 8), rng.integers(2, 8)
            pixels[y : y + h, x : x + w] = ident
        there = np.unique(pixels[pixels > 0]).tolist()
        sides.append((pixels, [(i, int(rng.integers(1, 4)), crowds and rng.random() < 0.15) for i in there]))
    if rng.random() < 0.5:  # near copies give matches
        sides[1] = (np.roll(sides[0][0], 1, 0), [(i, c, False) for i, c, _ in sides[0][1]])
        sides[1] = (sides[1][0], [(i, c % 3 + 1 if rng.random() < 0.3 else c, False) for i, c, _ in sides[1][1]])
    return panoptic_pair(key, *sides[0], *sides[1])


# ---- it moves no number --------------------------------------------------------------------------------------


def assert_same(plain: Result, more: Result) -> None:
    assert np.array_equal(list(plain.values.values()), list(more.values.values()), equal_nan=True)
    assert repr(plain.per_class) == repr(more.per_class)
    assert plain.signature == more.signature
    assert plain.tally is not None
    assert more.tally is not None
    assert set(plain.tally.tables) < set(more.tally.tables)
    for name, rows in plain.tally.tables.items():
        for column, values in rows.columns().items():
            assert np.array_equal(values, more.tally.tables[name][column])


@given(st.integers(0, 10_000))
@settings(max_examples=15, deadline=None)
def test_semantic_numbers_do_not_move(seed):
    taxonomy, pairs = Taxonomy.of_count(3), label_pairs(seed)
    rules = (SemanticIoU(taxonomy), SemanticIoU(taxonomy, diagnose=True, band=2))
    assert_same(*(rule.score(rule.observe(pairs)) for rule in rules))


@given(st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_panoptic_numbers_do_not_move(seed):
    pairs = [random_panoptic(seed + k, k) for k in range(3)]
    assert_same(
        *(rule.score(rule.observe(pairs)) for rule in (PanopticQuality(THINGS), PanopticQuality(THINGS, diagnose=True)))
    )


def test_instance_numbers_do_not_move():
    folder = dataset("fixtures") / "coco_instances_100"
    paths = folder / "instances_val2014_fakesegm100_results.json", folder / "instances_val2014_100.json"
    assert_same(*(score(*paths, task="instance", diagnose=more) for more in (False, True)))


def test_diagnosed_and_plain_tallies_do_not_mix():
    taxonomy, pairs = Taxonomy.of_count(3), label_pairs(1)
    a = SemanticIoU(taxonomy).observe(pairs[:2])
    b = SemanticIoU(taxonomy, diagnose=True).observe(pairs[2:])
    with pytest.raises(Exception, match="different rules"):
        a + b


@pytest.mark.parametrize(
    "rule", [SemanticIoU(Taxonomy.of_count(3), diagnose=True), PanopticQuality(THINGS, diagnose=True)]
)
def test_diagnosis_survives_shards_folding_and_the_disk(rule, tmp_path):
    pairs = label_pairs(3) if rule.task == "semantic" else [random_panoptic(k, k) for k in range(4)]
    whole = rule.observe(pairs)
    parts = rule.observe(pairs[:1]) + rule.observe(pairs[1:])
    assert whole == parts
    saved = rule.score(whole)
    saved.save(tmp_path)
    again = Result.load(tmp_path)
    folded = rule.score(whole.collapse())
    for other in (again, folded):
        assert [to_text(t) for t in diagnosis_tables(other)] == [to_text(t) for t in diagnosis_tables(saved)]


# ---- semantic ------------------------------------------------------------------------------------------------


@given(st.integers(0, 10_000), st.integers(1, 4))
@settings(max_examples=25, deadline=None)
def test_border_split_against_its_definition(seed, reach):
    pairs, taxonomy = label_pairs(seed, 2), Taxonomy.of_count(3)
    rule = SemanticIoU(taxonomy, diagnose=True, band=reach)
    split = border_split(rule.score(rule.observe(pairs)))
    assert split is not None
    pixels, errors = np.zeros((2, 3), int), np.zeros((2, 3), int)
    for pair in pairs:
        for y, x in np.ndindex(pair.truth.shape):
            here = pair.truth[y, x]
            if here == 255:
                continue
            square = pair.truth[max(0, y - reach) : y + reach + 1, max(0, x - reach) : x + reach + 1]
            part = 0 if (square != here).any() else 1
            pixels[part, here] += 1
            errors[part, here] += pair.prediction[y, x] != here
    assert np.array_equal(split.pixels, pixels)
    assert np.array_equal(split.errors, errors)
    assert split.reach == reach


def test_a_plain_run_has_no_border_split():
    rule = SemanticIoU(Taxonomy.of_count(3))
    assert border_split(rule.score(rule.observe(label_pairs(0)))) is None


def test_frequent_confusions_are_the_largest_entries_off_the_diagonal():
    matrix = np.array([[50, 7, 0, 3], [9, 1, 0, 0], [0, 0, 0, 0]])
    found = [(c.truth, c.prediction, c.amount, c.share) for c in frequent_confusions(matrix)]
    assert found == [(1, 0, 9, 0.9), (0, 1, 7, 7 / 60), (0, 3, 3, 3 / 60)]


def test_worst_images_come_first_and_undefined_ones_not_at_all():
    good, bad, void = np.zeros((4, 4), np.uint8), np.ones((4, 4), np.uint8), np.full((4, 4), 255, np.uint8)
    rule = SemanticIoU(Taxonomy.of_count(2), void=(255,))
    pairs = [Pair("good", good, good), Pair("void", void, void), Pair("bad", good, bad)]
    assert [row["image"] for row in worst_images(rule.score(rule.observe(pairs)))] == ["bad", "good"]


# ---- panoptic ------------------------------------------------------------------------------------------------


@given(st.integers(0, 100_000), st.booleans())
@settings(max_examples=80, deadline=None)
def test_parts_add_up_to_what_is_lost(seed, diagnose):
    rule = PanopticQuality(THINGS, diagnose=diagnose)
    result = rule.score(rule.observe([random_panoptic(seed + k, k) for k in range(3)]))
    loss = quality_loss(result)
    assert loss is not None
    assert ("poor overlap" in loss.parts) == diagnose
    for k, row in enumerate(result.per_class):
        parts = [float(v[k]) for v in loss.parts.values()]
        if math.isnan(row["PQ"]):
            assert all(map(math.isnan, parts))
        else:
            assert min(parts) >= 0
            assert math.fsum(parts) == pytest.approx(1 - row["PQ"], abs=1e-12)
    for name, tail in (("all", ""), ("things", "_th"), ("stuff", "_st")):
        whole = result.values["PQ" + tail]
        if not math.isnan(whole):
            assert math.fsum(loss.mean[name].values()) == pytest.approx(1 - whole, abs=1e-12)


@given(st.integers(0, 100_000))
@settings(max_examples=80, deadline=None)
def test_poor_overlaps_against_their_definition(seed):
    pair = random_panoptic(seed, 0)
    rule = PanopticQuality(THINGS, diagnose=True)
    rows = rule.observe([pair]).tables["poor"]
    found = {
        (int(c), side): int(rows[side][i])
        for i, c in enumerate(rows["class"])
        for side in ("fn", "fp")
        if rows[side][i]
    }
    assert found == _poor_by_definition(pair)


def _poor_by_definition(pair):
    sides = []
    for panoptic in (pair.truth, pair.prediction):
        s = panoptic.segments
        sides.append(
            [
                (panoptic.pixels == i, int(c), bool(w), bool(last))
                for i, c, w, last in zip(s.ids, s.classes, s.crowd, s.last_crowd, strict=True)
            ]
        )
    truths, predictions = sides
    void = pair.truth.pixels == 0

    def iou(t, p):
        return (t & p).sum() / ((t | p).sum() - (p & void).sum())

    counts: dict[tuple[int, str], int] = {}
    for t, c, crowd, _ in truths:
        if crowd or any(iou(t, p) > 0.5 for p, *_ in predictions):
            continue
        if any(k == c and iou(t, p) >= 0.1 for p, k, *_ in predictions):
            counts[c, "fn"] = counts.get((c, "fn"), 0) + 1
    for p, c, *_ in predictions:
        whole = [t for t, _, crowd, _ in truths if not crowd]
        excused = void.copy()
        for t, k, _, last in truths:
            excused |= t if last and k == c else np.zeros_like(t)
        if any(iou(t, p) > 0.5 for t in whole) or 2 * (p & excused).sum() > p.sum():
            continue
        if any(k == c and not crowd and iou(t, p) >= 0.1 for t, k, crowd, _ in truths):
            counts[c, "fp"] = counts.get((c, "fp"), 0) + 1
    return counts


def test_kinds_of_panoptic_loss_by_hand():
    """Cat found but for a quarter, dog taken for a cat, sky missed, a sky invented."""
    truth = np.zeros((4, 16), int)
    truth[:, :4], truth[:, 4:8], truth[:, 8:10] = 1, 2, 3
    prediction = np.zeros((4, 16), int)
    prediction[:3, :4], prediction[:, 4:8], prediction[:, 12:16] = 1, 2, 3
    truth[:, 12:16] = 4
    pair = panoptic_pair(
        "a",
        truth,
        [(1, 1, False), (2, 2, False), (3, 3, False), (4, 2, False)],
        prediction,
        [(1, 1, False), (2, 1, False), (3, 3, False)],
    )
    rule = PanopticQuality(THINGS)
    result = rule.score(rule.observe([pair]))
    loss = quality_loss(result)
    assert loss is not None
    cat, dog, sky = (({part: float(v[k]) for part, v in loss.parts.items()}) for k in range(3))
    # Cat: 1 match of IoU 3/4, one false positive that lies on the dog: size 1.5.
    assert cat == {
        "segmentation": pytest.approx(1 / 1.5 * 0.25),
        "wrong class": pytest.approx(0.5 / 1.5),
        "missed": 0.0,
        "invented": 0.0,
    }
    # Dog: two misses, one of them taken for a cat and the other for the sky.
    assert dog == {"segmentation": 0.0, "wrong class": 1.0, "missed": 0.0, "invented": 0.0}
    # Sky: one missed; the false one lies on a dog.
    assert sky == {"segmentation": 0.0, "wrong class": 0.5, "missed": 0.5, "invented": 0.0}
    matrix = part_of(result, Confusions).matrix
    assert matrix is not None
    assert matrix[:3, :].tolist() == [[1, 0, 0, 0, 0], [1, 0, 1, 0, 0], [0, 0, 0, 0, 1]]


def test_classes_keep_their_colours():
    taxonomy = Taxonomy((5, 2), ("b", "a"), None, ((1, 2, 3), (4, 5, 6)))
    rule = SemanticIoU(taxonomy)
    pair = Pair("x", np.full((2, 2), 5, np.uint8), np.full((2, 2), 2, np.uint8))
    assert rule.score(rule.observe([pair])).taxonomy == taxonomy


# ---- instances -----------------------------------------------------------------------------------------------

SIZE = 40
TWO = Taxonomy((1, 2), ("cat", "dog"))


def boxes(*rows):
    """Masks of boxes (x, y, w, h, class, score)."""
    masks = np.zeros((len(rows), SIZE, SIZE), bool)
    for k, (x, y, w, h, *_) in enumerate(rows):
        masks[k, y : y + h, x : x + w] = True
    return {
        "masks": masks,
        "labels": np.array([r[4] for r in rows], int),
        "scores": np.array([r[5] for r in rows], float),
    }


def instance_result(*images, **options) -> Result:
    rule = InstanceAP(TWO, diagnose=True, **options)
    pairs = []
    for k, (truths, detections) in enumerate(images):
        truth = boxes(*((*t[:5], 1) for t in truths))
        del truth["scores"]
        if any(len(t) > 5 for t in truths):
            truth["crowd"] = np.array([len(t) > 5 for t in truths])
        pairs.append(Pair(k, truth, boxes(*detections)))
    return rule.score(rule.observe(pairs))


def test_each_kind_of_detection_error_by_hand():
    truths = [(0, 0, 10, 10, 1), (20, 0, 10, 10, 1), (0, 20, 10, 10, 2), (30, 30, 10, 10, 2)]
    detections = [
        (0, 0, 10, 10, 1, 0.9),  # found
        (0, 0, 10, 9, 1, 0.8),  # the same once more
        (20, 0, 10, 4, 1, 0.7),  # half of the second cat
        (0, 20, 10, 10, 1, 0.6),  # a dog taken for a cat
        (0, 24, 10, 10, 1, 0.5),  # near that dog, and a cat
        (14, 14, 4, 4, 2, 0.4),  # nothing there
    ]
    costs = error_costs(instance_result((truths, detections)))
    assert costs is not None
    assert {name: int(v.sum()) for name, v in costs.counts.items()} == dict.fromkeys(ERRORS, 1)
    assert costs.counts["missed"].tolist() == [0, 1]
    assert costs.counts["class"].tolist() == [1, 0]


def test_a_crowd_excuses_and_counts_as_no_error():
    truths = [(0, 0, 20, 20, 1, "crowd"), (30, 30, 5, 5, 1)]
    costs = error_costs(instance_result((truths, [(2, 2, 5, 5, 1, 0.9), (30, 30, 5, 5, 1, 0.8)])))
    assert costs is not None
    assert costs.ap == pytest.approx(1, abs=1e-12)
    assert all(v.sum() == 0 for v in costs.counts.values())


def test_repairs_regain_what_the_errors_took():
    truths = [(0, 0, 10, 10, 1), (20, 20, 10, 10, 2)]
    perfect = [(0, 0, 10, 10, 1, 0.9), (20, 20, 10, 10, 2, 0.8)]
    cases = {
        "class": [(0, 0, 10, 10, 2, 0.9), perfect[1]],
        "localisation": [(0, 0, 10, 4, 1, 0.9), perfect[1]],
        "background": [(12, 12, 4, 4, 1, 0.99), *perfect],
        "duplicate": [*perfect, (0, 0, 10, 9, 1, 0.85)],
        "missed": perfect[1:],
    }
    for name, detections in cases.items():
        costs = error_costs(instance_result((truths, detections)))
        assert costs is not None
        assert costs.ap + costs.costs[name] == pytest.approx(1, abs=1e-12)
        # A duplicate below its truth takes nothing from AP while recall is full.
        assert costs.costs[name] > 0 or name == "duplicate"
        assert all(costs.costs[other] == 0 for other in ERRORS if other not in (name, "missed"))


def test_one_truth_is_given_to_the_best_of_its_repairs():
    truths = [(0, 0, 10, 10, 1)]
    detections = [(0, 0, 10, 4, 1, 0.9), (0, 0, 10, 3, 1, 0.8)]
    costs = error_costs(instance_result((truths, detections)))
    assert costs is not None
    assert costs.counts["localisation"].tolist() == [2, 0]
    assert costs.ap == 0
    assert costs.costs["localisation"] == pytest.approx(1, abs=1e-12)


def test_the_base_is_ap50():
    folder = dataset("fixtures") / "coco_instances_100"
    result = score(
        folder / "instances_val2014_fakesegm100_results.json",
        folder / "instances_val2014_100.json",
        task="instance",
        diagnose=True,
    )
    costs = error_costs(result)
    assert costs is not None
    assert costs.ap == result["AP50"]
    assert all(v >= 0 for v in costs.costs.values())
    kinds, truths = result.tally.tables["kinds"], result.tally.tables["truths"]
    found = int((kinds["kind"] == 0).sum())
    aimed = {
        (int(i), int(t))
        for i, k, t, f in zip(kinds.image, kinds["kind"], kinds["truth"], kinds["free"], strict=True)
        if k in (1, 2) and f
    }
    assert found + len(aimed) + int(costs.counts["missed"].sum()) == int(truths["truths"][:, 0].sum())


def test_threshold_curve_by_hand():
    truths = [(0, 0, 10, 10, 1), (20, 20, 10, 10, 1)]
    detections = [(0, 0, 10, 10, 1, 0.9), (30, 0, 5, 5, 1, 0.5), (20, 20, 10, 10, 1, 0.5), (0, 30, 5, 5, 1, 0.2)]
    curve = threshold_curve(instance_result((truths, detections)))
    assert curve is not None
    assert curve.scores.tolist() == [0.9, 0.5, 0.2]
    assert curve.precision.tolist() == [1.0, 2 / 3, 0.5]
    assert curve.recall.tolist() == [0.5, 1.0, 1.0]
    assert curve.f1.tolist() == [2 / 3, 0.8, 2 * 2 / 6]
    assert curve.best == 1
    assert [curve.at(s) for s in (1.0, 0.9, 0.7, 0.5, 0.0)] == [-1, 0, 0, 1, 2]


def test_empty_runs_have_a_diagnosis():
    empty = instance_result(([(0, 0, 5, 5, 1)], []))
    costs, curve = error_costs(empty), threshold_curve(empty)
    assert costs is not None
    assert curve is not None
    assert (costs.ap, curve.best, int(costs.counts["missed"].sum())) == (0.0, -1, 1)


def test_instance_diagnosis_survives_shards_and_the_disk(tmp_path):
    rng = np.random.default_rng(0)
    images = []
    for _ in range(5):
        rows = [(*rng.integers(0, 28, 2), *rng.integers(3, 12, 2), rng.integers(1, 3), rng.random()) for _ in range(9)]
        images.append(
            ([r[:5] for r in rows[:4]], [*rows[2:], (rows[0][0], rows[0][1], rows[0][2], 4, rows[0][4], 0.5)])
        )
    rule = InstanceAP(TWO, diagnose=True)
    whole = instance_result(*images)
    pairs = []
    for k, (truths, detections) in enumerate(images):
        truth = boxes(*((*t, 1) for t in truths))
        del truth["scores"]
        pairs.append(Pair(k, truth, boxes(*detections)))
    assert rule.observe(pairs[3:]) + rule.observe(pairs[:3]) == whole.tally
    whole.save(tmp_path)
    again = Result.load(tmp_path)
    assert again.tally == whole.tally
    assert error_costs(again).costs == error_costs(whole).costs
