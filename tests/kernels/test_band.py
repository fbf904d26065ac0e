"""The border band against its definition, pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from segeval.kernels.counting.band import border_band


def by_definition(labels, reach):
    height, width = labels.shape
    band = np.zeros(labels.shape, bool)
    for y in range(height):
        for x in range(width):
            square = labels[max(0, y - reach) : y + reach + 1, max(0, x - reach) : x + reach + 1]
            band[y, x] = (square != labels[y, x]).any()
    return band


@settings(max_examples=150, deadline=None)
@given(
    arrays(
        np.uint8, st.tuples(st.integers(1, 14), st.integers(1, 14)), elements=st.sampled_from([0, 0, 0, 0, 0, 1, 255])
    ),
    st.integers(1, 6),
)
def test_band_is_where_the_square_holds_another_label(labels, reach):
    assert np.array_equal(border_band(labels, reach), by_definition(labels, reach))


@pytest.mark.parametrize("dtype", [np.uint16, np.uint32, np.int64])
def test_wide_labels_and_views(dtype):
    labels = np.zeros((9, 12), dtype)
    labels[3:5, 4:9] = 60_000
    for view in (labels, labels[::2, ::3], labels.T):
        assert np.array_equal(border_band(view, 2), by_definition(view, 2))


def test_one_label_has_no_border():
    assert not border_band(np.full((5, 7), 3, np.uint8), 3).any()
