"""Maps and weights for the data loader, against brute force over all pairs of pixels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from PIL import Image

from segeval import losses
from segeval.errors import SegevalError
from segeval.losses.maps import boundary_mask
from tests.given.datasets import dataset

images = hnp.arrays(
    np.uint8, hnp.array_shapes(min_dims=2, max_dims=3, min_side=1, max_side=6), elements=st.integers(0, 3)
)


def to_nearest(shape: tuple[int, ...], chosen: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Distance of every pixel to the nearest chosen one, over all pairs."""
    pixels = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1).reshape(-1, 1, len(shape))
    goals = np.argwhere(chosen).reshape(1, -1, len(shape))
    return np.asarray(np.sqrt(((pixels - goals) ** 2).sum(-1)).min(1).reshape(shape))


@settings(max_examples=60, deadline=None)
@given(image=images)
def test_maps_by_brute_force(image: NDArray[np.uint8]) -> None:
    signed = losses.signed_distance_map(image, 4)
    region = losses.region_wise_map(image, 4)
    inverted = losses.inverted_distance_map(image)
    inner = losses.inner_distance_map(image)
    assert signed.dtype == region.dtype == inverted.dtype == inner.dtype == np.float32
    for c in range(4):
        mask = image == c
        if mask.all() or not mask.any():
            assert (signed[c] == 0).all()
            assert (region[c] == (-1 if mask.all() else 1)).all()
            continue
        inside, outside = to_nearest(image.shape, ~mask)[mask], to_nearest(image.shape, mask)[~mask]
        np.testing.assert_allclose(signed[c][mask], 1 - inside, rtol=1e-6)
        np.testing.assert_allclose(signed[c][~mask], outside, rtol=1e-6)
        np.testing.assert_allclose(region[c][mask], -inside / inside.max(), rtol=1e-6)
        assert (region[c][~mask] == 1).all()
        deepest = inside.max()
        expected = (deepest - inside) / (deepest - 1) if deepest > 1 else np.ones_like(inside)
        np.testing.assert_allclose(inverted[mask], expected, rtol=1e-6)
        np.testing.assert_allclose(inner[mask], inside if c else 0, rtol=1e-6)


@settings(max_examples=60, deadline=None)
@given(image=images)
def test_boundary_distance_by_brute_force(image: NDArray[np.uint8]) -> None:
    edge = boundary_mask(image, ignore_index=3)
    for at in np.ndindex(*image.shape):
        nexts = [tuple(np.add(at, step)) for step in np.eye(image.ndim, dtype=int)]
        values = [image[n] for n in nexts if all(i < size for i, size in zip(n, image.shape, strict=True))]
        assert edge[at] == any(v not in (image[at], 3) and image[at] != 3 for v in values)
    distance = losses.boundary_distance_map(image, ignore_index=3)
    expected = to_nearest(image.shape, edge) if edge.any() else np.zeros(image.shape)
    np.testing.assert_allclose(distance, expected, rtol=1e-6)


@settings(max_examples=60, deadline=None)
@given(ids=images, sigma=st.sampled_from([0.3, 1.0, 5.0]))
def test_border_weights_by_brute_force(ids: NDArray[np.uint8], sigma: float) -> None:
    got = losses.border_weight_map(ids, w0=10.0, sigma=sigma)
    present = [value for value in np.unique(ids) if value]
    if len(present) < 2:
        assert (got == 0).all()
        return
    d = np.sort(np.stack([to_nearest(ids.shape, ids == value) for value in present]), 0)
    expected = np.where(ids == 0, 10 * np.exp(-((d[0] + d[1]) ** 2) / (2 * sigma**2)), 0)
    np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-8)


def test_spacing_scales_distances() -> None:
    image = np.zeros((4, 5), np.uint8)
    image[1:3, 1:4] = 1
    plain = losses.signed_distance_map(image, 2)
    np.testing.assert_allclose(losses.signed_distance_map(image, 2, spacing=2.0), 2 * plain)
    stretched = losses.boundary_distance_map(image, spacing=(3.0, 1.0))
    assert stretched[3, 0] == 3


def test_median_frequencies() -> None:
    images = [np.array([[0, 0, 0, 1]]), np.array([[0, 0, 255, 255]])]
    # f_0 = 5/6 of both images, f_1 = 1/4 of the first; class 2 never occurs. The median is their mean.
    median = (5 / 6 + 1 / 4) / 2
    got = losses.median_frequency_weights(images, 3, ignore_index=255)
    np.testing.assert_allclose(got, [median / (5 / 6), median / (1 / 4), 0], rtol=1e-6)
    with pytest.raises(SegevalError, match="labels run from 0 to 255"):
        losses.median_frequency_weights(images, 3)
    with pytest.raises(SegevalError, match="no labelled pixel"):
        losses.median_frequency_weights([], 3)


def test_median_frequencies_of_camvid() -> None:
    root = dataset("camvid")

    def label(stem: str) -> NDArray[np.uint8]:
        with Image.open(root / "trainannot" / f"{stem}.png") as picture:
            return np.array(picture)

    stems = (root / "train.txt").read_text().split()
    weights = losses.median_frequency_weights((label(stem) for stem in stems), 11, ignore_index=11)
    # Void pixels are left out of the totals; counting them would move the last weight to 8.859.
    expected = [0.279, 0.202, 4.789, 0.149, 1.0, 0.424, 3.846, 1.980, 0.789, 6.385, 8.819]
    np.testing.assert_allclose(weights, expected, atol=6e-4)


@pytest.mark.parametrize("helper", [losses.boundary_distance_map, losses.inner_distance_map, losses.border_weight_map])
def test_float_labels_are_refused(helper: Callable[[NDArray[np.float64]], object]) -> None:
    with pytest.raises(SegevalError, match="labels are float64"):
        helper(np.zeros((3, 3)))
