"""The row filters of PNG, against filters written out from the specification."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from segeval.kernels.decoding.png import PADDING, lead_of, unfilter


def predictor(kind: int, left: int, above: int, corner: int) -> int:
    """What a filter expects of a byte (PNG specification, section 9.2)."""
    if kind == 4:
        estimate = left + above - corner
        return min((left, above, corner), key=lambda value: abs(estimate - value))
    return (0, left, above, (left + above) // 2)[kind]


def filtered(rows: NDArray[np.uint8], kinds: Sequence[int], step: int) -> bytes:
    """The rows (h, stride) as PNG stores them, filter `kinds[y]` in row y."""
    height, stride = rows.shape
    result = bytearray()
    for y in range(height):
        result.append(kinds[y])
        for x in range(stride):
            left = int(rows[y, x - step]) if x >= step else 0
            above = int(rows[y - 1, x]) if y else 0
            corner = int(rows[y - 1, x - step]) if y and x >= step else 0
            result.append((int(rows[y, x]) - predictor(kinds[y], left, above, corner)) % 256)
    return bytes(result)


def regions(rng: np.random.Generator, height: int, width: int, channels: int, noise: float) -> NDArray[np.uint8]:
    """Blocks of one value with slanted borders and a share of single odd pixels, (h, w * channels)."""
    y, x = np.mgrid[:height, :width]
    cells = ((x + y // 2) // int(rng.integers(2, 90))) * 7 + y // int(rng.integers(1, 9))
    colours = rng.integers(0, 256, (int(cells.max()) + 1, channels), dtype=np.uint8)
    image = colours[cells]
    odd = rng.random((height, width)) < noise
    image[odd] = rng.integers(0, 256, (int(odd.sum()), channels))
    return image.reshape(height, width * channels)


def undone(raw: bytes, height: int, stride: int, step: int) -> tuple[int, NDArray[np.uint8]]:
    lead = lead_of(stride)
    out = np.full(lead + height * stride + PADDING, 0xA5, np.uint8)
    bad = unfilter(np.frombuffer(bytearray(raw + bytes(PADDING)), np.uint8), out, height, stride, step)
    return bad, out[lead : lead + height * stride].reshape(height, stride)


@settings(deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    height=st.integers(1, 9),
    width=st.one_of(st.integers(1, 20), st.integers(1, 200)),
    step=st.sampled_from([1, 2, 3, 4, 6, 8]),
    noise=st.sampled_from([0.0, 0.02, 1.0]),
    kinds=st.lists(st.integers(0, 4), min_size=9, max_size=9),
)
def test_every_filter_is_undone(seed: int, height: int, width: int, step: int, noise: float, kinds: list[int]) -> None:
    rows = regions(np.random.default_rng(seed), height, width, step, noise)
    bad, image = undone(filtered(rows, kinds, step), height, width * step, step)
    assert bad == -1
    assert np.array_equal(image, rows)


@pytest.mark.parametrize("step", [1, 2, 3, 4, 6, 8])
@pytest.mark.parametrize("kind", [0, 1, 2, 3, 4])
def test_one_odd_byte_at_every_place(kind: int, step: int) -> None:
    # In the row that is undone, and in the row above it.
    width = 140 // step
    for row in (1, 2):
        for place in range(width * step):
            rows = np.full((4, width * step), 7, np.uint8)
            rows[row, place] = 9
            bad, image = undone(filtered(rows, [0, 0, kind, 0], step), 4, width * step, step)
            assert bad == -1
            assert np.array_equal(image, rows)


@pytest.mark.parametrize("row", [0, 3, 199])
def test_unknown_filter_names_its_row(row: int) -> None:
    raw = bytearray(200 * 6)
    raw[row * 6] = 5
    assert undone(bytes(raw), 200, 5, 1)[0] == row
