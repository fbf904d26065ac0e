"""Run-length masks: decoding, encoding and measuring agree with the official mask API and with dense masks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pycocotools import mask as official

from segeval.kernels.decoding import rle
from segeval.samples.decoding import BadInstanceError
from segeval.samples.instances import Instances
from segeval.samples.masks import as_instances, instances_of_map
from tests.kernels.test_polygon import columns_of, decoded, runs_of

masks = arrays.arrays(np.uint8, st.tuples(st.integers(1, 24), st.integers(1, 24)), elements=st.integers(0, 1))


def decode(found: Instances) -> tuple[np.ndarray, list[tuple[np.ndarray, np.ndarray]]]:
    """Pixels and corners, and the runs of each mask."""
    side, runs = decoded(found.columns, found.height, found.width)
    spans = zip(side.first.tolist(), side.stop.tolist(), strict=True)
    return np.column_stack([side.pixels, side.corners]), [
        (runs.starts[a:b].copy(), runs.ends[a:b].copy()) for a, b in spans
    ]


def assert_is(mask: np.ndarray, found: tuple[np.ndarray, np.ndarray]) -> None:
    for mine, expected in zip(found, runs_of(mask), strict=True):
        assert np.array_equal(mine, expected)


@settings(max_examples=300, deadline=None)
@given(masks)
def test_compressed_strings(mask: np.ndarray) -> None:
    encoded = official.encode(np.asfortranarray(mask))
    measured, (found,) = decode(as_instances({"rle": [encoded]}, "truth"))
    assert_is(mask, found)
    assert measured[0, 0] == mask.sum()
    x0, y0, x1, y1 = measured[0, 1:].tolist()
    assert [x0, y0, x1 - x0, y1 - y0] == official.toBbox(encoded).tolist()
    assert rle.encode(*found, 0, len(found[0]), mask.size).tobytes() == encoded["counts"]
    flat = np.zeros(mask.size, np.uint8)
    rle.paint(*found, 0, len(found[0]), flat)
    assert np.array_equal(flat.reshape(mask.shape[::-1]).T, mask)


def test_long_counts_take_several_characters() -> None:
    mask = np.zeros((2000, 1500), np.uint8)
    mask[3:1990, 700:720] = 1
    mask[5, 1400] = 1
    encoded = official.encode(np.asfortranarray(mask))
    _, (found,) = decode(as_instances({"rle": [encoded]}, "truth"))
    assert_is(mask, found)
    assert rle.encode(*found, 0, len(found[0]), mask.size).tobytes() == encoded["counts"]


@settings(max_examples=200, deadline=None)
@given(st.lists(masks, min_size=1, max_size=4))
def test_dense_masks_and_counts(stack: list[np.ndarray]) -> None:
    same = [np.resize(m, stack[0].shape) for m in stack]
    _, found = decode(as_instances({"masks": np.stack(same)}, "truth"))
    for mask, runs in zip(same, found, strict=True):
        assert_is(mask, runs)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=30))
def test_counts_of_zero_are_no_runs(counts: list[int]) -> None:
    """Empty runs vanish and their neighbours join, in lists of counts and in strings alike."""
    total = sum(counts)
    if not total:
        counts, total = [*counts, 5], 5
    mask = np.repeat(np.arange(len(counts)) % 2, counts).astype(np.uint8).reshape(1, total)
    text = official.frPyObjects({"size": [1, total], "counts": counts}, 1, total)
    for form in (counts, text["counts"]):
        _, (found,) = decode(as_instances({"rle": [{"size": [1, total], "counts": form}]}, "truth"))
        assert_is(mask, found)


@settings(max_examples=200, deadline=None)
@given(arrays.arrays(np.uint16, st.tuples(st.integers(1, 16), st.integers(1, 16)), elements=st.integers(0, 4)))
def test_every_id_of_a_map_in_one_pass(labels: np.ndarray) -> None:
    found = instances_of_map(labels)
    ids = [i for i in np.unique(labels).tolist() if i]
    assert found.columns.ids.tolist() == ids
    _, runs = decode(found)
    for i, own in zip(ids, runs, strict=True):
        assert_is((labels == i).astype(np.uint8), own)


@pytest.mark.parametrize(
    ("counts", "text"),
    [
        ("04 ", "alphabet"),
        ("0p", "alphabet"),
        ("04", "does not cover"),
        ("", "does not cover"),
        ("0@", "natural number"),
        ("0" + "o" * 12 + "0", "alphabet"),
        ("2o", "alphabet"),  # breaks off inside a number
        ([3, 4], "does not cover"),
        ([3, -4, 10], "natural number"),
        ([3, 2.5, 3.5], "natural number"),
        ([3, float("nan")], "natural number"),
    ],
)
def test_damaged_masks_are_told(counts: object, text: str) -> None:
    with pytest.raises(BadInstanceError, match=text):
        decode(as_instances({"rle": [{"size": [3, 3], "counts": counts}]}, "truth"))


@pytest.mark.parametrize(
    ("ring", "text"),
    [
        ([1.0, 2.0, 3.0, 4.0], "three points"),
        ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0], "half a point"),
        ([1.0, 2.0, 3.0, float("inf"), 5.0, 6.0], "usable number"),
        ([1.0, 2.0, 3.0, 1e12, 5.0, 6.0], "usable number"),
    ],
)
def test_damaged_polygons_are_told(ring: list[float], text: str) -> None:
    with pytest.raises(BadInstanceError, match=text):
        decoded(columns_of([ring]), 10, 10)
