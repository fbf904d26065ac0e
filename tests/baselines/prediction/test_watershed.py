from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from segeval_baselines.data.object_labels import touching
from segeval_baselines.prediction.watershed import flood, separate

from segeval.errors import SegevalError


def cells(seed: int, count: int = 8, size: int = 40) -> np.ndarray:
    """A disc of cells that touch one another: nearest of random points."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size]
    points = rng.uniform(4, size - 4, (count, 2))
    nearest = np.argmin((y[..., None] - points[:, 0]) ** 2 + (x[..., None] - points[:, 1]) ** 2, axis=-1) + 1
    return np.where((y - size / 2) ** 2 + (x - size / 2) ** 2 < (size / 2 - 3) ** 2, nearest, 0).astype(np.int32)


def probabilities(ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What a perfect network would say of one class."""
    border = touching(ids)
    return ((ids > 0) & ~border)[None].astype(np.float32), border.astype(np.float32)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000))
def test_touching_cells_are_found_again(seed: int) -> None:
    ids = cells(seed)
    inside, border = probabilities(ids)
    found = separate(inside, border, least=1)
    assert np.array_equal(found.ids > 0, ids > 0)
    for number in range(1, int(found.ids.max()) + 1):
        region = found.ids == number
        assert ndimage.label(region)[1] == 1
        seed_ids = np.unique(ids[region & (inside[0] > 0)])
        assert len(seed_ids) <= 1  # no two cells become one
        assert found.scores[number - 1] == 1
    away = (found.ids > 0) & (inside[0] > 0)
    pairs = {(int(a), int(b)) for a, b in zip(found.ids[away], ids[away], strict=True)}
    assert len({a for a, _ in pairs}) == len(pairs)


def test_components_join_what_touches() -> None:
    ids = np.zeros((12, 20), np.int32)
    ids[2:10, 2:8], ids[2:10, 8:14], ids[2:10, 15:19] = 1, 2, 3
    inside, border = probabilities(ids)
    joined, apart = (separate(inside, border, method) for method in ("components", "watershed"))
    assert joined.ids.max() == 2
    assert apart.ids.max() == 3
    assert len(np.unique(apart.ids[ids == 1])) == 1
    assert len(np.unique(apart.ids[ids == 2])) == 1
    assert np.array_equal(joined.ids > 0, apart.ids > 0)


def test_seeds_meet_where_the_height_is_lowest() -> None:
    height = np.array([[0.9, 0.8, 0.7, 0.6, 0.5, 0.1, 0.8, 0.9]])
    seeds = np.zeros((1, 8), np.int32)
    seeds[0, 0], seeds[0, 7] = 1, 2
    flooded = flood(seeds, height, np.ones((1, 8), bool))
    assert flooded[0, :5].tolist() == [1] * 5
    assert flooded[0, 6:].tolist() == [2, 2]
    assert flooded[0, 5] in (1, 2)


def test_floods_stay_in_the_mask_and_keep_their_seeds() -> None:
    mask = np.ones((6, 9), bool)
    mask[:, 4] = False
    seeds = np.zeros((6, 9), np.int32)
    seeds[2, 1] = 5
    flooded = flood(seeds, np.random.default_rng(0).random((6, 9)), mask)
    assert (flooded[:, :4] == 5).all()
    assert not flooded[:, 4:].any()


def test_a_region_without_a_sure_inside_is_an_instance() -> None:
    inside, border = np.zeros((1, 12, 12)), np.zeros((12, 12))
    inside[0, 1:6, 1:6] = 0.9
    inside[0, 7:11, 7:11], border[7:11, 7:11] = 0.4, 0.3
    found = separate(inside, border)
    assert found.ids.max() == 2
    assert np.allclose(found.scores, [0.9, 0.7])


def test_small_and_absent_instances() -> None:
    inside, border = np.zeros((1, 8, 8)), np.zeros((8, 8))
    assert separate(inside, border).ids.max() == 0
    assert separate(inside, border).scores.shape == (0,)
    inside[0, 0, 0] = inside[0, 3:7, 3:7] = 1.0
    found = separate(inside, border, least=2)
    assert found.ids.max() == 1
    assert found.ids[0, 0] == 0
    assert separate(inside, border, "components", least=1).ids.max() == 2


def test_the_class_is_the_likeliest_over_the_instance() -> None:
    inside, border = np.zeros((2, 8, 16)), np.zeros((8, 16))
    inside[0, 1:7, 1:7], inside[1, 1:7, 1:7] = 0.6, 0.3
    inside[1, 1:7, 9:15] = 0.8
    found = separate(inside, border)
    assert found.labels.tolist() == [1, 2]
    assert np.allclose(found.scores, [0.9, 0.8])


def test_unknown_methods_are_refused() -> None:
    with pytest.raises(SegevalError, match="'lines' separates no instances; take components or watershed"):
        separate(np.zeros((1, 4, 4)), np.zeros((4, 4)), "lines")
