"""Reweighted AP against pycocotools on the data set in which each image is repeated."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from segeval.metrics.instance.rule import InstanceAP
from segeval.metrics.reweighting import reweighted
from segeval.readers.coco.instances import CocoInstances, CocoResults
from segeval.samples.pairs import Pair
from tests.given.instance_problems import official, only, problem, write

pytestmark = pytest.mark.parity

FEATURES = ("crowd", "half", "empty_image", "area_1024", "area_9216", "empty_class", "tie_across")


def untied(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The results with scores that differ within each image; across images many are still equal."""
    taken: dict[int, int] = {}
    out = []
    for row in sorted(results, key=lambda r: -r["score"]):
        place = taken[row["image_id"]] = taken.get(row["image_id"], -1) + 1
        out.append({**row, "score": 0.99 - place / 200})
    return out


def repeated(
    data: dict[str, Any], results: list[dict[str, Any]], times: dict[int, int]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Copies of each image side by side in the order of ids."""
    whole = {**data, "images": [], "annotations": []}
    found = []
    for image in data["images"]:
        for copied in range(times[image["id"]]):
            number = image["id"] * 10 + copied
            whole["images"].append({**image, "id": number})
            for a in data["annotations"]:
                if a["image_id"] == image["id"]:
                    new = {**copy.deepcopy(a), "image_id": number, "id": len(whole["annotations"]) + 1}
                    whole["annotations"].append(new)
            found += [{**copy.deepcopy(r), "image_id": number} for r in results if r["image_id"] == image["id"]]
    return whole, found


def test_weights_are_pycocotools_on_repeated_images(tmp_path: Path) -> None:
    compared = 0

    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(st.integers(0, 2**32 - 1), st.sets(st.sampled_from(FEATURES)), st.data())
    def check(seed: int, wanted: set[str], draw: Any) -> None:
        nonlocal compared
        data, results = problem(seed, wanted)
        results = untied(only(results, "segmentation"))
        ids = sorted(image["id"] for image in data["images"])
        times = draw.draw(st.lists(st.integers(0, 3), min_size=len(ids), max_size=len(ids)))
        again, found = repeated(data, results, dict(zip(ids, times, strict=True)))
        if not results or not found or not again["annotations"]:
            return
        truth, predicted = write(tmp_path, data, results)
        gt = CocoInstances(truth, True)
        dt = CocoResults(predicted, gt, True)
        rule = InstanceAP(taxonomy=gt.taxonomy)
        run = rule.score(rule.observe(Pair(k, gt.load(k), dt.load(k)) for k in gt.keys()))
        evidence = reweighted(run)
        weights = [dict(zip(ids, times, strict=True))[key] for key in evidence.keys]
        figures = evidence.at(np.array([weights], np.float64))
        expected = official(again, found, "segm")
        assert (np.where(np.isnan(figures.values[0]), -1, figures.values[0]) == expected.stats).all()
        for k in range(len(evidence.class_ids)):
            own = expected.eval["precision"][:, :, k, 0, -1]
            mean = np.mean(own[own > -1]) if (own > -1).any() else np.nan
            assert np.array_equal(figures.classes[0, k, 0], mean, equal_nan=True)
        compared += 1

    check()
    assert compared >= 10
