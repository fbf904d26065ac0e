from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from segeval_baselines.data.augment import displacement, jitter, random_view, rescale, view_grid
from segeval_baselines.data.samples import VOID, Sample
from segeval_baselines.recipes import Recipe

STILL = Recipe(scales=(1.0, 1.0), flip=0.0)


def paired(height: int = 24, width: int = 32) -> Sample:
    """An image whose red channel spells the labels, in blocks, so that a misplaced pixel shows."""
    labels = np.kron(np.random.default_rng(1).integers(0, 5, (height // 4, width // 4)), np.ones((4, 4))).astype(
        np.uint8
    )
    image = np.repeat(labels[..., None] * 50, 3, axis=2)
    return Sample(image, labels)


def test_without_chance_the_view_is_the_image() -> None:
    sample = paired()
    image, labels, _ = random_view(np.random.default_rng(0), sample, (24, 32), STILL)
    torch.testing.assert_close(image, torch.from_numpy(sample.image).permute(2, 0, 1) / 255, atol=1e-5, rtol=0)
    assert torch.equal(labels, torch.from_numpy(sample.labels).long())


def test_mirroring_mirrors_both() -> None:
    sample = paired()
    image, labels, _ = random_view(np.random.default_rng(0), sample, (24, 32), Recipe(scales=(1.0, 1.0), flip=1.0))
    expected = torch.from_numpy(sample.image).permute(2, 0, 1).flip(-1) / 255
    torch.testing.assert_close(image, expected, atol=1e-5, rtol=0)
    assert torch.equal(labels, torch.from_numpy(sample.labels).long().flip(-1))


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    zoom=st.floats(0.4, 2.5),
    rotation=st.sampled_from([0.0, 30.0]),
    elastic=st.sampled_from([0.0, 2.0]),
    border=st.sampled_from([0, 6]),
)
def test_image_and_labels_move_together(seed: int, zoom: float, rotation: float, elastic: float, border: int) -> None:
    recipe = Recipe(scales=(zoom, zoom), rotation=rotation, elastic=elastic)
    image, labels, _ = random_view(np.random.default_rng(seed), paired(), (20, 28), recipe, border)
    assert image.shape == (3, 20 + 2 * border, 28 + 2 * border)
    assert labels.shape == (20, 28)
    inner = image[0, border : border + 20, border : border + 28] * 255 / 50
    # Where interpolation meets one colour only, it says the label.
    flat = (inner - inner.round()).abs() < 1e-3
    lone = flat & (labels != VOID)
    same = (inner.round().long() == labels) | ~lone
    # Between colours 1 and 3 the mean looks like 2; such pixels are few.
    assert same.float().mean() > 0.9
    assert set(labels.unique().tolist()) <= {0, 1, 2, 3, 4, VOID}


def test_beyond_the_image_labels_are_void_and_the_image_is_mirrored() -> None:
    sample = paired(8, 8)
    image, labels, _ = random_view(np.random.default_rng(0), sample, (8, 8), STILL, border=4)
    assert (labels != VOID).all()
    core = image[:, 4:12, 4:12]
    torch.testing.assert_close(image[:, :4, 4:12], core[:, :4].flip(1))
    _, larger, _ = random_view(np.random.default_rng(0), sample, (16, 16), STILL)
    assert int((larger != VOID).sum()) == 64


def test_views_are_a_function_of_the_generator() -> None:
    recipe = Recipe(rotation=10, elastic=3, colour=0.3)
    first, again = (random_view(np.random.default_rng((3, 4)), paired(), (24, 32), recipe) for _ in range(2))
    other = random_view(np.random.default_rng((3, 5)), paired(), (24, 32), recipe)
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[0], other[0])


def test_elastic_displacements_are_smooth_and_as_wide_as_asked() -> None:
    shifts = torch.stack([displacement(np.random.default_rng(k), (64, 64), 10.0)[::63, ::63] for k in range(200)])
    assert 9.0 < float(shifts.std()) < 11.0  # the grid's corners are the image's: normal draws as they came
    field = displacement(np.random.default_rng(0), (64, 64), 10.0)
    assert float((field[1:] - field[:-1]).abs().max()) < 2.0


def test_rescaling_halves_both() -> None:
    sample = rescale(paired(24, 32), 0.5)
    assert sample.image.shape == (12, 16, 3)
    assert np.array_equal(sample.labels, paired(24, 32).labels[::2, ::2])
    assert rescale(sample, 1.0) is sample


def test_colours_change_within_bounds_and_labels_never() -> None:
    image = torch.rand(3, 8, 8)
    assert jitter(np.random.default_rng(0), image, 0.0) is image
    changed = jitter(np.random.default_rng(0), image, 0.4)
    assert float(changed.min()) >= 0
    assert float(changed.max()) <= 1
    assert not torch.allclose(changed, image)


def test_a_view_of_another_place_has_the_same_number_of_draws() -> None:
    rng = np.random.default_rng(0)
    view_grid(rng, (24, 32), (8, 8), Recipe())
    assert rng.bit_generator.state == _after(5)


def _after(draws: int) -> object:
    rng = np.random.default_rng(0)
    for _ in range(draws):
        rng.random()
    return rng.bit_generator.state
