"""Polygons become the very runs of the official mask API."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as official

from segeval.samples.decoding import Runs, Side
from segeval.samples.instances import InstanceColumns, Instances


def columns_of(rings: list[list[float]], masks: int = 1, kind: int = 1) -> InstanceColumns:
    """Masks that each own an equal share of the rings."""
    share = len(rings) // masks
    low = np.arange(masks, dtype=np.int64) * share
    none = np.zeros(masks)
    return InstanceColumns(
        none.astype(np.int64), none, none, none.astype(np.uint8), none.astype(np.int64), np.zeros((masks, 4)),
        np.full(masks, kind, np.uint8), low, low + share, np.zeros(1, np.uint8),
        np.cumsum([0, *map(len, rings)]).astype(np.int64), np.array([v for r in rings for v in r], np.float64),
    )  # fmt: skip


def decoded(columns: InstanceColumns, height: int, width: int) -> tuple[Side, Runs]:
    side, runs = Side([Instances(columns, 0, len(columns.classes), height, width)], by_class=False), Runs()
    side.decode(runs, 0)
    return side, runs


def runs_of(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Runs of a dense mask, straight from the definition."""
    change = np.diff(np.concatenate([[0], mask.T.ravel(), [0]]).astype(np.int8))
    return np.flatnonzero(change == 1), np.flatnonzero(change == -1)


def assert_as_official(polygons: list[list[float]], height: int, width: int) -> None:
    rle = official.merge(official.frPyObjects(polygons, height, width))
    side, runs = decoded(columns_of(polygons), height, width)
    starts, ends = runs_of(official.decode(rle))
    stop = side.stop[0]
    assert np.array_equal(runs.starts[:stop], starts)
    assert np.array_equal(runs.ends[:stop], ends)
    assert side.pixels[0] == official.area(rle)
    x0, y0, x1, y1 = side.corners[0].tolist()
    assert [x0, y0, x1 - x0, y1 - y0] == official.toBbox(rle).tolist()


coordinate = st.one_of(
    st.integers(-5, 70).map(float),  # whole pixels: ties of the rounding
    st.floats(-40, 110, allow_nan=False).map(lambda v: round(v, 2)),
    st.integers(-200, 500).map(lambda v: v / 10),  # halves of the fine grid
)
ring = st.lists(st.tuples(coordinate, coordinate), min_size=3, max_size=14).map(lambda p: [v for xy in p for v in xy])


@settings(max_examples=400, deadline=None)
@given(st.lists(ring, min_size=1, max_size=4), st.integers(1, 70), st.integers(1, 70))
def test_rings_and_unions_are_the_official_ones(polygons: list[list[float]], height: int, width: int) -> None:
    assert_as_official(polygons, height, width)


@pytest.mark.parametrize(
    "polygon",
    [
        [10, 10, 10, 10, 10, 10],  # a point
        [5, 5, 30, 5, 5, 5],  # a line
        [-20, -20, 100, -20, 100, 100, -20, 100],  # more than the image
        [-20, 5, -3, 9, -10, 30],  # left of it
        [0, 0, 50, 40, 50, 0, 0, 40],  # crosses itself
        [12.5, 7.3, 12.5, 7.3, 30.1, 8.9, 21.7, 30.2],  # a vertex twice
        [0, 0, 0, 40, 50, 40, 50, 0],  # the image itself
    ],
)
def test_unusual_outlines(polygon: list[float]) -> None:
    assert_as_official([[float(v) for v in polygon]], 40, 50)


def test_many_masks_grow_the_scratch() -> None:
    rng = np.random.default_rng(0)
    rings = [(rng.uniform(0, 3000, (40, 2))).ravel().tolist() for _ in range(60)]
    side, runs = decoded(columns_of(rings, 60), 3000, 3000)
    for i, polygon in enumerate(rings):
        starts, ends = runs_of(official.decode(official.merge(official.frPyObjects([polygon], 3000, 3000))))
        assert np.array_equal(runs.starts[side.first[i] : side.stop[i]], starts)
        assert np.array_equal(runs.ends[side.first[i] : side.stop[i]], ends)
