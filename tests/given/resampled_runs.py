"""Random runs made of rows alone, and the run in which each image is repeated."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from segeval.evidence.rows import Rows, image_digest, split_iou
from segeval.evidence.tally import Tally
from segeval.metrics.instance.rule import InstanceAP
from segeval.metrics.panoptic.rule import PanopticQuality
from segeval.metrics.semantic.rule import SemanticIoU
from segeval.results.result import Result
from segeval.samples.taxonomy import Taxonomy

TASKS = ("semantic", "panoptic", "instance")


def run_of(task: str, seed: int, images: int = 8, classes: int = 4, **options: Any) -> Result:
    """A random run; runs of one task and number of images are on the same truth."""
    make = {"semantic": semantic_run, "panoptic": panoptic_run, "instance": instance_run}[task]
    return make(np.random.default_rng(seed), images, classes, **options)


def _tally(task: str, images: int, tables: dict[str, Rows]) -> Tally:
    digests = np.array([image_digest(i) for i in range(images)], np.uint64)
    return Tally(task, "made of rows", tuple(range(images)), digests, tables)


def semantic_run(rng: np.random.Generator, images: int, classes: int, **options: Any) -> Result:
    """Pixels of random class pairs; some classes are in few images, some pixels in no class."""
    rows = []
    for i, t, p in itertools.product(range(images), range(-1, classes), range(-1, classes)):
        if rng.random() < (0.9 if t == p else 0.3) / (1 + (t + 1) / 2):
            rows.append((i, t, p, rng.integers(1, 5000) * (8 if t == p else 1)))
    image, t, p, pixels = np.array(rows or np.zeros((0, 4)), np.int64).reshape(-1, 4).T.copy()
    table = Rows(image.astype(np.int32), {"truth": t, "prediction": p}, {"pixels": pixels})
    rule = SemanticIoU(taxonomy=Taxonomy.of_count(classes), **{"void": (255,), **options})
    return rule.score(_tally("semantic", images, {"pixels": table}))


def panoptic_run(rng: np.random.Generator, images: int, classes: int, **options: Any) -> Result:
    """Counts and summed IoUs of random classes."""
    rows, sums = [], []
    for i in range(images):
        for k in range(classes):
            if rng.random() < 0.8 / (1 + k / 2):
                ious = rng.uniform(0.5001, 1, rng.integers(0, 4))
                high, low = split_iou(ious)
                rows.append((i, k, len(ious), rng.integers(0, 3), rng.integers(0, 3)))
                sums.append((high.sum(), low.sum()))
    image, k, tp, fp, fn = np.array(rows or np.zeros((0, 5)), np.int64).reshape(-1, 5).T.copy()
    high, low = np.array(sums or np.zeros((0, 2)), np.int64).reshape(-1, 2).T.copy()
    counts = {"tp": tp, "fp": fp, "fn": fn, "iou_high": high, "iou_low": low}
    none = np.zeros(0, np.int64)
    tables = {
        "classes": Rows(image.astype(np.int32), {"class": k}, counts),
        "matches": Rows(none.astype(np.int32), {"truth": none, "prediction": none}, {"matches": none}),
        "notes": Rows(none.astype(np.int32), {"code": none}, {"count": none}),
    }
    things = tuple(bool(k % 2) for k in range(classes))
    rule = PanopticQuality(taxonomy=Taxonomy(tuple(range(classes)), things=things), **options)
    return rule.score(_tally("panoptic", images, tables))


def instance_run(rng: np.random.Generator, images: int, classes: int, digits: int = 2, **options: Any) -> Result:
    """Detections with random matches; no two scores of an image are equal, and many of different images are."""
    rule = InstanceAP(taxonomy=Taxonomy.of_count(classes), **options)
    limit, areas = len(rule.iou_thresholds), 1 + len(rule.area_ranges)
    words = len(_words([0] * areas, limit))
    found, truths = [], []
    for i in range(images):
        scores = rng.permutation(10**digits)[: rng.integers(0, 9)] / 10**digits
        for k in range(classes):
            if rng.random() < 0.7 / (1 + k / 2):
                inside = rng.integers(0, 4, areas)
                truths.append((i, k, np.where(np.arange(areas) == 0, inside.sum(), inside), rng.integers(0, 2)))
        kinds = rng.integers(0, classes, len(scores))
        for k in range(classes):
            own = -np.sort(-scores[kinds == k])
            for rank, score in enumerate(own):
                # Matched up to some threshold, as greedy matching leaves it; now and then ignored.
                matched = [(1 << int(rng.integers(0, limit + 1))) - 1 for _ in range(areas)]
                chance = (rng.random(areas) < 0.3).tolist()
                ignored = [int(rng.integers(0, 2**limit, dtype=np.uint64)) if c else 0 for c in chance]
                found.append((i, k, score, rank, *(_words(bits, limit) for bits in (matched, ignored))))
    columns = list(zip(*found, strict=True)) or [()] * 6
    detections = Rows(
        np.array(columns[0], np.int32),
        {
            "class": np.array(columns[1], np.int32),
            "score": np.array(columns[2], np.float64),
            "rank": np.array(columns[3], np.int32),
            "matched": np.array(columns[4], np.uint64).reshape(-1, words),
            "ignored": np.array(columns[5], np.uint64).reshape(-1, words),
        },
        {},
    )
    columns = list(zip(*truths, strict=True)) or [()] * 4
    wanted = Rows(
        np.array(columns[0], np.int32),
        {"class": np.array(columns[1], np.int32)},
        {
            "truths": np.array(columns[2], np.int64).reshape(-1, areas),
            "crowds": np.array(columns[3], np.int64),
        },
    )
    zeros = np.zeros(images, np.int64)
    notes = dict.fromkeys(("zero_ids", "computed_areas", "boxed_masks", "beyond"), zeros)
    noted = Rows(np.arange(images, dtype=np.int32), {}, notes)
    tables = {"detections": detections, "truths": wanted, "notes": noted}
    return rule.score(_tally("instance", images, tables))


def _words(bits: Sequence[int], limit: int) -> list[int]:
    """The bits of all area ranges in one word where they fit, else in a word each."""
    if limit * len(bits) > 64:
        return list(bits)
    return [sum(b << (a * limit) for a, b in enumerate(bits))]


def repeated(tally: Tally, times: Sequence[int]) -> Tally:
    """The tally of a data set that holds image i `times[i]` times, side by side."""
    source = np.repeat(np.arange(len(tally.keys)), times)
    tables = {}
    for name, rows in tally.tables.items():
        parts = [np.flatnonzero(rows.image == i) for i in source]
        which = np.concatenate([np.zeros(0, np.int64), *parts])
        tables[name] = rows.select(which, np.repeat(np.arange(len(source)), [len(p) for p in parts]))
    return replace(tally, keys=tuple(range(len(source))), digests=tally.digests[source], tables=tables)
