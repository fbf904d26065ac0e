"""Laws of AP: what may change without changing a bit, and what a perfect prediction gets."""

from __future__ import annotations

import copy
import functools
import operator
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from segeval.errors import SegevalError
from segeval.evidence.tally import Tally, merge
from segeval.metrics.instance.rule import InstanceAP
from segeval.readers.coco.instances import CocoInstances, CocoResults
from segeval.readers.reading import Reading
from segeval.readers.sources import open_pairs
from segeval.results.result import Result
from segeval.results.signature import Signature
from segeval.samples.pairs import Pair
from segeval.scoring.evaluation import evaluate
from tests.given.instance_problems import FEATURES, HEIGHT, WIDTH, official, only, problem, write

quick = settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
problems = st.tuples(st.integers(0, 2**32 - 1), st.sets(st.sampled_from(FEATURES)))


def pairs_of(folder: Path, data: Any, results: Any) -> tuple[InstanceAP, list[Pair]]:
    truth_path, results_path = write(folder, data, results)
    truth = CocoInstances(truth_path)
    found = CocoResults(results_path, truth)
    return InstanceAP(truth.taxonomy), [Pair(k, truth.load(k), found.load(k), "gt", "pred") for k in truth.keys()]


def tally_of(folder: Path, data: Any, results: Any) -> tuple[InstanceAP, Tally]:
    rule, pairs = pairs_of(folder, data, results)
    return rule, rule.observe(pairs)


def assert_same(a: Result, b: Result) -> None:
    for name in a.values:
        assert a[name] == b[name] or (np.isnan(a[name]) and np.isnan(b[name]))
    for name, curve in a.curves.items():
        assert np.array_equal(curve, b.curves[name], equal_nan=True)
    assert a.signature == b.signature


@quick
@given(problems, st.randoms(use_true_random=False))
def test_order_of_images_shards_and_adding(tmp_path_factory: Any, given_: Any, rng: random.Random) -> None:
    data, results = problem(*given_)
    rule, pairs = pairs_of(tmp_path_factory.mktemp("laws"), data, results)
    whole = rule.observe(pairs)
    rng.shuffle(pairs)
    assert rule.observe(pairs) == whole
    cut = rng.randint(0, len(pairs))
    parts = [rule.observe(pairs[:cut]), rule.observe(pairs[cut:]), rule.observe([])]
    a, b, c = parts
    assert merge(parts) == (a + b) + c == a + (b + c) == functools.reduce(operator.add, reversed(parts)) == whole
    assert_same(rule.score(merge(parts)), rule.score(whole))


@quick
@given(problems)
def test_one_image_at_a_time_and_twice(tmp_path_factory: Any, given_: Any) -> None:
    data, results = problem(*given_)
    rule, pairs = pairs_of(tmp_path_factory.mktemp("laws"), data, results)
    whole = rule.observe(pairs)
    singles = [rule.observe([pair]) for pair in pairs]
    assert merge(singles) == whole
    padded = merge([*singles, singles[0]])  # as a padded sampler does
    assert padded == whole
    assert padded.duplicates == 1
    kept = whole.take([p.key for p in pairs])
    assert kept == whole


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(problems)
def test_threads_change_nothing(tmp_path_factory: Any, given_: Any) -> None:
    data, results = problem(*given_)
    data["images"] += [{"id": 1000 + i, "height": HEIGHT, "width": WIDTH} for i in range(100)]
    for i in range(100):
        data["annotations"].append(dict(data["annotations"][0], image_id=1000 + i, id=5000 + i))
    truth, found = write(tmp_path_factory.mktemp("laws"), data, results)
    source = open_pairs(Reading(found, truth), "instance")
    rule = InstanceAP(source.taxonomy)
    assert evaluate(source, rule, workers=1) == evaluate(source, rule, workers=2)


@quick
@given(problems, st.booleans())
def test_flipped_images_score_the_same(tmp_path_factory: Any, given_: Any, upside_down: bool) -> None:
    """Masks, unlike polygons, have no rounding that prefers a side."""
    from pycocotools import mask as api

    from tests.given.instance_problems import compressed

    data, results = problem(*given_)
    for annotation in data["annotations"]:
        if not isinstance(annotation["segmentation"], dict):
            rle = api.merge(api.frPyObjects(annotation["segmentation"], HEIGHT, WIDTH))
            annotation["segmentation"] = {"size": rle["size"], "counts": rle["counts"].decode()}
    flipped, mirrored = copy.deepcopy(data), only(copy.deepcopy(results), "segmentation")
    for row in (*flipped["annotations"], *mirrored):
        form = row["segmentation"]
        if isinstance(form["counts"], list):
            form = api.frPyObjects(form, HEIGHT, WIDTH)
        mask = api.decode(form)
        row["segmentation"] = compressed(mask[::-1] if upside_down else mask[:, ::-1])
    folder = tmp_path_factory.mktemp("laws")
    rule, straight = tally_of(folder, data, only(results, "segmentation"))
    _, other = tally_of(folder, flipped, mirrored)
    first, second = rule.score(straight), rule.score(other)
    for name, curve in first.curves.items():
        assert np.array_equal(curve, second.curves[name], equal_nan=True)


@quick
@given(problems)
def test_the_truth_itself_scores_as_the_official_scorer_has_it(tmp_path_factory: Any, given_: Any) -> None:
    data, _ = problem(*given_)
    data["annotations"] = [a for a in data["annotations"] if isinstance(a["segmentation"], dict) and not a["iscrowd"]]
    results = [
        {"image_id": a["image_id"], "category_id": a["category_id"], "segmentation": a["segmentation"], "score": 1.0}
        for a in data["annotations"]
    ]
    if not results:
        return
    rule, tally = tally_of(tmp_path_factory.mktemp("laws"), data, results)
    values = np.array(list(rule.score(tally).values.values()))
    assert (np.where(np.isnan(values), -1.0, values) == official(data, results, "segm").stats).all()
    assert values[0] > 1 - 1e-12


@quick
@given(problems)
def test_figures_lie_between_zero_and_one_and_precision_never_rises(tmp_path_factory: Any, given_: Any) -> None:
    rule, tally = tally_of(tmp_path_factory.mktemp("laws"), *problem(*given_))
    result = rule.score(tally)
    for value in result.values.values():
        assert np.isnan(value) or 0 <= value <= 1
    precision, recall = result.curves["precision"], result.curves["recall"]
    assert not (np.diff(precision, axis=1) > 0).any()
    assert not (np.diff(recall, axis=0) > 0).any()  # a stricter threshold finds no more
    assert not (np.diff(recall, axis=-1) < 0).any()  # more detections find no less
    assert Signature.parse(result.signature.format()) == result.signature


@quick
@given(problems)
def test_class_numbers_move_a_mean_by_rounding_alone(tmp_path_factory: Any, given_: Any) -> None:
    data, results = problem(*given_)
    new = {2: 9, 3: 1, 7: 4}
    other = copy.deepcopy((data, results))
    for row in (*other[0]["annotations"], *other[1]):
        row["category_id"] = new[row["category_id"]]
    for category in other[0]["categories"]:
        category["id"] = new[category["id"]]
    folder = tmp_path_factory.mktemp("laws")
    first, second = (rule.score(tally) for rule, tally in (tally_of(folder, *d) for d in ((data, results), other)))
    for name, value in first.values.items():
        assert abs(value - second[name]) <= 4 * np.spacing(1.0) or (np.isnan(value) and np.isnan(second[name]))
    by_name = [{row["name"]: row["AP"] for row in result.per_class} for result in (first, second)]
    assert np.array_equal(
        [by_name[0][n] for n in sorted(by_name[0])], [by_name[1][n] for n in sorted(by_name[0])], equal_nan=True
    )


@quick
@given(problems)
def test_the_truth_has_a_digest_of_its_own(tmp_path_factory: Any, given_: Any) -> None:
    """Another model's results leave it; another truth changes it; the order of annotations does not."""
    data, results = problem(*given_)
    folder = tmp_path_factory.mktemp("laws")
    _, tally = tally_of(folder, data, results)
    _, without = tally_of(folder, data, [])
    assert tally.digest == without.digest
    turned = {**data, "annotations": data["annotations"][::-1]}
    assert tally_of(folder, turned, results)[1].digest == tally.digest
    for change in ({"category_id": 7}, {"area": 77.5}, {"iscrowd": 1}, {"image_id": data["images"][0]["id"]}):
        row = next((a for a in data["annotations"] if any(a[k] != v for k, v in change.items())), None)
        if row is None:
            continue
        changed = {**data, "annotations": [{**a, **change} if a is row else a for a in data["annotations"]]}
        assert tally_of(folder, changed, results)[1].digest != tally.digest


def test_saved_and_loaded(tmp_path: Path) -> None:
    rule, tally = tally_of(tmp_path, *problem(3, set(FEATURES)))
    result = rule.score(tally)
    loaded = Result.load(result.save(tmp_path / "run"))
    assert loaded.tally == tally
    assert_same(loaded, result)
    assert_same(rule.score(loaded.tally), result)


def test_rows_are_small(tmp_path: Path) -> None:
    _, tally = tally_of(tmp_path, *problem(3, set(FEATURES)))
    rows = tally.tables["detections"]
    assert sum(column.nbytes for column in rows.columns().values()) <= 36 * len(rows)


@pytest.mark.parametrize(
    "options",
    [
        {"iou": "mask"},
        {"iou_thresholds": ()},
        {"iou_thresholds": (0.5, 0.5)},
        {"iou_thresholds": (0.0, 0.5)},
        {"max_dets": (0,)},
        {"max_dets": ()},
        {"area_ranges": (("a", 5.0, 1.0),)},
        {"area_ranges": (("a", 0.0, 1.0), ("a", 1.0, 2.0))},
        {"area_ranges": (("50", 0.0, 1.0),)},
        {"area_ranges": (("100", 0.0, 1.0),)},
        {"max_dets": ("1",)},
        {"iou_thresholds": ("half",)},
        {"area_ranges": (("a", "low", 1.0),)},
        {"area_ranges": ("a:0:1",)},
        {"protocol": "coco"},
    ],
)
def test_rules_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(SegevalError, match="give"):
        InstanceAP(**options)
