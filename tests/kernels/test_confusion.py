"""The counting of label pairs, against sorting."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from segeval.kernels.counting.confusion import confusion_rows_any, confusion_rows_u8


def counted(truth: NDArray[Any], prediction: NDArray[Any]) -> list[tuple[int, int, int]]:
    """(truth label, predicted label, pixels), sorted, by way of numpy's sorting."""
    pairs = np.stack([truth.reshape(-1).astype(np.int64), prediction.reshape(-1).astype(np.int64)], axis=1)
    values, pixels = np.unique(pairs, axis=0, return_counts=True)
    return [(int(t), int(p), int(n)) for (t, p), n in zip(values, pixels, strict=True)]


def label_map(rng: np.random.Generator, size: int, run: int, values: NDArray[Any]) -> NDArray[Any]:
    """A flat map of runs of about `run` pixels."""
    ends = np.cumsum(rng.integers(1, 2 * run, size))
    return values[rng.integers(0, len(values), size)][np.searchsorted(ends, np.arange(size), side="right")]


def listed(rows: tuple[NDArray[Any], ...]) -> list[tuple[int, ...]]:
    return [tuple(int(v) for v in row) for row in zip(*rows, strict=True)]


maps = given(
    seed=st.integers(0, 2**32 - 1),
    size=st.one_of(st.integers(1, 200), st.integers(1, 5000)),
    runs=st.tuples(st.sampled_from([1, 2, 3, 10, 100]), st.sampled_from([1, 2, 3, 10, 100])),
)


@settings(deadline=None)
@maps
def test_bytes(seed: int, size: int, runs: tuple[int, int]) -> None:
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 256, int(rng.integers(1, 256)), dtype=np.uint8)
    truth, prediction = (label_map(rng, size, run, values) for run in runs)
    expected = counted(truth, prediction)
    table = np.zeros(65536, np.int64)
    rows = confusion_rows_u8(truth, prediction, table)
    assert [row.dtype for row in rows] == [np.int32, np.int32, np.int64]
    assert listed(rows) == expected
    assert not table.any()


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.int32, np.uint32, np.int64])
@settings(deadline=None)
@maps
def test_any_integers(dtype: Any, seed: int, size: int, runs: tuple[int, int]) -> None:
    rng = np.random.default_rng(seed)
    values = rng.integers(0, min(2**32, int(np.iinfo(dtype).max) + 1), int(rng.integers(1, 300))).astype(dtype)
    truth, prediction = (label_map(rng, size, run, values) for run in runs)
    rows = confusion_rows_any(truth, prediction)
    assert [row.dtype for row in rows] == [np.int64, np.int64, np.int64]
    assert listed(rows) == counted(truth, prediction)


def test_integers_of_two_types() -> None:
    rng = np.random.default_rng(5)
    truth, prediction = rng.integers(0, 200, 999).astype(np.uint8), rng.integers(0, 60000, 999).astype(np.uint16)
    assert listed(confusion_rows_any(truth, prediction)) == counted(truth, prediction)


def test_empty() -> None:
    nothing = np.empty(0, np.uint8)
    assert listed(confusion_rows_u8(nothing, nothing, np.zeros(65536, np.int64))) == []
    assert listed(confusion_rows_any(nothing, nothing)) == []
