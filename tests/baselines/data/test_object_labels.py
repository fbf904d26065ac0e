from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from segeval_baselines.data.object_labels import ObjectLabels, touching
from segeval_baselines.data.samples import VOID
from segeval_baselines.data.scenes import Scenes
from segeval_baselines.data.splits import open_split
from segeval_baselines.recipes import BORDER_LOSS, Recipe
from segeval_baselines.training.batches import Stream
from segeval_baselines.training.jobs import Budget, Job
from segeval_baselines.training.loop import run_job
from segeval_baselines.training.objective import objective
from segeval_baselines.zoo import preset_of

from segeval.errors import SegevalError
from segeval.losses import border_weight_map
from segeval.losses.functional import border_cross_entropy
from tests.baselines import object_data
from tests.given.datasets import dataset

STILL = Recipe(scales=(1.0, 1.0), flip=0.0, loss=BORDER_LOSS, batch=1)


@st.composite
def maps_of_ids(draw: st.DrawFn) -> np.ndarray[Any, Any]:
    """A few overpainted boxes."""
    ids = np.zeros((9, 11), np.int32)
    for number in range(1, draw(st.integers(0, 5)) + 1):
        top, left = draw(st.integers(0, 7)), draw(st.integers(0, 9))
        ids[top : top + draw(st.integers(1, 5)), left : left + draw(st.integers(1, 5))] = number
    return ids


@settings(max_examples=80, deadline=None)
@given(ids=maps_of_ids())
def test_without_touching_pixels_no_two_objects_are_connected(ids: np.ndarray[Any, Any]) -> None:
    border = touching(ids)
    assert not (border & (ids == 0)).any()
    regions, count = ndimage.label((ids > 0) & ~border)
    for number in range(1, count + 1):
        assert len(np.unique(ids[regions == number])) == 1
    slow = np.zeros_like(border)
    for y, x in np.ndindex(ids.shape):
        near = [ids[y + a, x + b] for a, b in ((0, 1), (1, 0), (0, -1), (-1, 0)) if 0 <= y + a < 9 and 0 <= x + b < 11]
        slow[y, x] = ids[y, x] > 0 and any(v not in (0, ids[y, x]) for v in near)
    assert np.array_equal(border, slow)


def test_nuclei_become_three_classes(tmp_path: Path) -> None:
    ids = object_data.write_nuclei(tmp_path)
    samples = open_split(f"nuclei:{tmp_path}", "train")
    assert samples.taxonomy.names == ("background", "nucleus", "border")
    assert samples.taxonomy.ids == (0, 1, 2)
    sample = samples.load("n1")
    border = touching(ids.astype(np.int32))
    assert border.sum() == 10
    assert np.array_equal(sample.labels, np.where(border, 2, ids > 0))
    assert sample.instances is not None
    assert np.array_equal(sample.instances > 0, (ids > 0) & ~border)
    assert np.array_equal(sample.image, object_data.picture(1))


def test_things_keep_their_ids_and_crowds_are_void(tmp_path: Path) -> None:
    ids = object_data.write_instances(tmp_path)
    one = open_split(f"instances:{tmp_path}", "val")
    assert one.taxonomy.ids == (1, 0, 2)  # the object's id is 0
    coded = open_split(f"instances:{tmp_path}", "train", str(tmp_path / "classes.json"))
    assert coded.taxonomy.ids == (0, 1, 2, 3)
    assert coded.taxonomy.names == ("background", "cell", "tissue", "border")
    labels = coded.load("a").labels
    assert (labels[ids == 2] == VOID).all()
    assert (labels[ids == 2001] == 2).all()
    assert (labels[ids == 0] == 0).all()


def test_views_carry_the_weights_of_borders(tmp_path: Path) -> None:
    object_data.write_nuclei(tmp_path)
    samples = open_split(f"nuclei:{tmp_path}", "train")
    recipe = Recipe(**{**STILL.to_dict(), "loss_options": (("w0", 4.0), ("sigma", 2.0))})
    batch = Stream(samples, recipe, 0).batch(0)
    sample = samples.load("n1")
    assert batch.weights is not None
    assert sample.instances is not None
    expected = border_weight_map(sample.instances, w0=4.0, sigma=2.0)
    torch.testing.assert_close(batch.weights[0], torch.from_numpy(expected), atol=5e-3, rtol=2e-3)
    assert torch.equal(batch.labels[0], torch.from_numpy(sample.labels).long())
    assert Stream(samples, Recipe(batch=1), 0).batch(0).weights is None


def test_weights_move_with_the_labels(tmp_path: Path) -> None:
    object_data.write_nuclei(tmp_path)
    samples = open_split(f"nuclei:{tmp_path}", "train")
    plain = Stream(samples, STILL, 0).batch(0)
    mirrored = Stream(samples, Recipe(**{**STILL.to_dict(), "flip": 1.0}), 0).batch(0)
    assert plain.weights is not None
    assert mirrored.weights is not None
    torch.testing.assert_close(mirrored.weights, plain.weights.flip(-1), atol=1e-4, rtol=1e-4)
    large = Stream(samples, Recipe(**{**STILL.to_dict(), "crop": (30, 30)}), 0).batch(0)
    assert large.weights is not None
    assert float(large.weights[large.labels == VOID].max()) <= float(plain.weights.max())
    assert float(large.weights[0, 0].max()) == 0


def test_the_objective_is_the_papers_loss() -> None:
    from segeval_baselines.layers.blocks import Logits

    logits, labels, weights = torch.randn(2, 3, 5, 6), torch.randint(0, 3, (2, 5, 6)), torch.rand(2, 5, 6) * 9
    labels[0, 0] = VOID
    found = objective(STILL, None, torch.device("cpu"))(Logits(logits), labels, weights)
    torch.testing.assert_close(found, border_cross_entropy(logits, labels, weight_map=weights, ignore_index=VOID))


def test_borders_need_objects() -> None:
    with pytest.raises(
        SegevalError, match="scenes train has no objects, which the loss border_cross_entropy"
    ) as caught:
        Stream(Scenes("train", 2), STILL, 0)
    assert "\n" not in str(caught.value)


def test_the_preset_trains_on_nuclei(tmp_path: Path) -> None:
    object_data.write_nuclei(tmp_path / "data")
    recipe = preset_of("unet", "nuclei").recipe
    assert recipe.loss == BORDER_LOSS
    small = Recipe(**{**recipe.to_dict(), "batch": 2, "crop": (16, 16)})
    options = {"width": 4, "depth": 2}
    job = Job("unet", f"nuclei:{tmp_path / 'data'}", small, Budget(iterations=3), "nuclei", options, device="cpu")
    checkpoint = run_job(job.changed(validations=1), tmp_path / "run")
    assert checkpoint.taxonomy.names[-1] == "border"
    assert "validation mIoU" in checkpoint.notes
    assert json.loads((tmp_path / "run" / "job.json").read_text())["recipe"]["loss_options"] == [
        ["w0", 10.0],
        ["sigma", 5.0],
    ]


def test_real_nuclei_stay_apart() -> None:
    root = dataset("dsb2018")
    samples = open_split(f"nuclei:{root}", "val")
    assert isinstance(samples, ObjectLabels)
    for key in list(samples.keys())[:10]:
        sample, objects = samples.load(key), samples.objects.load(key)
        assert set(np.unique(sample.labels)) <= {0, 1, 2}
        _, count = ndimage.label(sample.labels == 1)
        assert count >= len(objects.masks) - 2  # an object may be all border
