"""The counting of segment pairs, against sorting."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from segeval.kernels.counting.overlap import overlap_ids, overlap_rgb, rgb_ids
from tests.kernels.test_confusion import counted, label_map, listed

maps = given(
    seed=st.integers(0, 2**32 - 1),
    height=st.integers(1, 9),
    width=st.one_of(st.integers(1, 50), st.integers(1, 800)),
    runs=st.tuples(st.sampled_from([1, 2, 3, 10, 100]), st.sampled_from([1, 2, 3, 10, 100])),
)


def colours(ids: NDArray[np.uint32], channels: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """The ids as R, G, B, and an alpha of noise."""
    image = rng.integers(0, 256, (*ids.shape, channels), dtype=np.uint8)
    for k in range(3):
        image[..., k] = ids >> (8 * k) & 255
    return image


@pytest.mark.parametrize(("channels", "others"), [(3, 3), (4, 4), (3, 4), (4, 3)])
@settings(deadline=None)
@maps
def test_colours(channels: int, others: int, seed: int, height: int, width: int, runs: tuple[int, int]) -> None:
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 2**24, int(rng.integers(1, 300))).astype(np.uint32)
    truth, prediction = (label_map(rng, height * width, run, values).reshape(height, width) for run in runs)
    rows = overlap_rgb(colours(truth, channels, rng), colours(prediction, others, rng))
    assert [row.dtype for row in rows] == [np.uint32, np.uint32, np.int64]
    assert listed(rows) == counted(truth, prediction)


@pytest.mark.parametrize("dtype", [np.uint16, np.uint32, "RGB", "RGBA"])
def test_one_odd_byte_at_every_place(dtype: Any) -> None:
    # On either side, and at every place of the 64 bytes that are compared at once.
    size = 80
    for byte in range(2 if dtype == np.uint16 else 3 if dtype in ("RGB", "RGBA") else 4):
        for place in range(size):
            truth, prediction = np.full(
                (2, 1, size), 0x01010101 & (0xFFFF if dtype == np.uint16 else 0xFFFFFF), np.uint32
            )
            (truth if place % 2 else prediction)[0, place] ^= 0x80 << 8 * byte
            if dtype in ("RGB", "RGBA"):
                rng = np.random.default_rng(place)
                rows = overlap_rgb(*(colours(ids, len(dtype), rng) for ids in (truth, prediction)))
            else:
                rows = overlap_ids(truth.astype(dtype), prediction.astype(dtype))
            assert listed(rows) == counted(truth, prediction)


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.uint32, np.int64])
@settings(deadline=None)
@maps
def test_ids(dtype: Any, seed: int, height: int, width: int, runs: tuple[int, int]) -> None:
    rng = np.random.default_rng(seed)
    values = rng.integers(0, min(2**32, int(np.iinfo(dtype).max) + 1), int(rng.integers(1, 300))).astype(dtype)
    truth, prediction = (label_map(rng, height * width, run, values).reshape(height, width) for run in runs)
    rows = overlap_ids(truth, prediction)
    assert [row.dtype for row in rows] == [np.uint32, np.uint32, np.int64]
    assert listed(rows) == counted(truth, prediction)


def test_noise_outgrows_the_table_many_times() -> None:
    rng = np.random.default_rng(0)
    truth, prediction = rng.integers(0, 2**24, (2, 300, 400)).astype(np.uint32)
    assert listed(overlap_rgb(colours(truth, 3, rng), colours(prediction, 3, rng))) == counted(truth, prediction)
    assert listed(overlap_ids(truth, prediction)) == counted(truth, prediction)


@pytest.mark.parametrize("channels", [3, 4])
def test_ids_of_colours(channels: int) -> None:
    rng = np.random.default_rng(1)
    ids = rng.integers(0, 2**24, (5, 7)).astype(np.uint32)
    found = rgb_ids(colours(ids, channels, rng))
    assert found.dtype == np.uint32
    assert np.array_equal(found, ids)
