from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from segeval_baselines.data.objects import ObjectSample
from segeval_baselines.data.samples import VOID
from segeval_baselines.data.splits import open_objects
from segeval_baselines.ops import mask_boxes
from segeval_baselines.recipes import Recipe
from segeval_baselines.training.object_batches import (
    ObjectBatch,
    ObjectStream,
    pack,
    random_object_view,
    rescale_packed,
)

from tests.baselines import object_data

STILL = Recipe(scales=(1.0, 1.0), flip=0.0)


def sample_of(masks: list[np.ndarray], labels: list[int], crowd: list[bool] | None = None) -> ObjectSample:
    """A sample with these masks, whose image spells the semantic map."""
    stack = np.stack(masks)
    semantic = np.full(stack.shape[1:], VOID, np.uint8)
    for mask, label in zip(stack, labels, strict=True):
        semantic[mask] = label
    image = np.repeat(semantic[..., None], 3, axis=2)
    flags = np.array(crowd or [False] * len(masks))
    return ObjectSample(image, stack, np.array(labels, np.int64), flags, semantic)


def overlapping() -> ObjectSample:
    """Three objects of which two overlap, a crowd, and an empty mask."""
    box = object_data.box
    masks = [box(1, 1, 6, 6), box(4, 4, 9, 9), box(0, 9, 3, 12), box(6, 0, 10, 3), box(0, 0, 0, 0)]
    return sample_of(masks, [1, 2, 1, 3, 2], [False, False, False, True, False])


def test_packing_keeps_every_pixel_of_every_object() -> None:
    sample = overlapping()
    packed = pack(sample)
    assert packed.layers.shape[0] == 2
    assert packed.labels.tolist() == [1, 2, 1]
    again = np.stack([(packed.layers == k + 1).any(axis=0) for k in range(3)])
    assert np.array_equal(again, sample.masks[:3])


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000), count=st.integers(0, 6))
def test_packing_is_exact_for_any_overlap(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    masks = rng.random((count, 7, 8)) < rng.random((count, 1, 1))
    sample = ObjectSample(np.zeros((7, 8, 3), np.uint8), masks, np.arange(1, count + 1), rng.random(count) < 0.2, None)
    packed = pack(sample)
    kept = ~sample.crowd & masks.any(axis=(1, 2))
    assert packed.labels.tolist() == (np.flatnonzero(kept) + 1).tolist()
    for number, mask in enumerate(masks[kept], 1):
        assert np.array_equal((packed.layers == number).any(axis=0), mask)


def test_without_chance_the_view_is_the_sample() -> None:
    sample = overlapping()
    image, target, semantic = random_object_view(np.random.default_rng(0), pack(sample), (10, 12), STILL)
    torch.testing.assert_close(image, torch.from_numpy(sample.image).permute(2, 0, 1) / 255, atol=1e-5, rtol=0)
    assert torch.equal(target.masks, torch.from_numpy(sample.masks[:3]).to(torch.uint8))
    assert target.labels.tolist() == [1, 2, 1]
    assert target.boxes.tolist() == [[1, 1, 6, 6], [4, 4, 9, 9], [9, 0, 12, 3]]
    assert semantic is not None
    assert torch.equal(semantic, torch.from_numpy(sample.semantic).long())


def test_mirroring_mirrors_everything() -> None:
    sample = overlapping()
    recipe = Recipe(scales=(1.0, 1.0), flip=1.0)
    image, target, semantic = random_object_view(np.random.default_rng(0), pack(sample), (10, 12), recipe)
    expected = torch.from_numpy(sample.image).permute(2, 0, 1).flip(-1) / 255
    torch.testing.assert_close(image, expected, atol=1e-5, rtol=0)
    assert torch.equal(target.masks, torch.from_numpy(sample.masks[:3]).to(torch.uint8).flip(-1))
    assert target.boxes[0].tolist() == [6, 1, 11, 6]
    assert semantic is not None
    assert torch.equal(semantic, torch.from_numpy(sample.semantic).long().flip(-1))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), zoom=st.floats(0.5, 2.5), rotation=st.sampled_from([0.0, 20.0]))
def test_objects_and_classes_move_together(seed: int, zoom: float, rotation: float) -> None:
    box = object_data.box
    sample = sample_of([box(1, 1, 5, 5), box(5, 6, 9, 11), box(7, 2, 8, 3)], [1, 2, 3])
    recipe = Recipe(scales=(zoom, zoom), rotation=rotation)
    _, target, semantic = random_object_view(np.random.default_rng(seed), pack(sample), (8, 9), recipe)
    assert semantic is not None
    painted = torch.full((8, 9), VOID)
    for mask, label in zip(target.masks, target.labels, strict=True):
        assert mask.any()
        painted[mask.bool()] = label
    assert torch.equal(painted, semantic)
    assert torch.equal(target.boxes, mask_boxes(target.masks))


def test_objects_outside_the_view_and_crowds_are_left_out() -> None:
    masks = [object_data.box(0, 0, 2, 2), object_data.box(8, 10, 10, 12), object_data.box(4, 4, 6, 8)]
    packed = pack(sample_of(masks, [1, 2, 3], [False, False, True]))
    seen = set()
    for seed in range(40):
        _, target, _ = random_object_view(np.random.default_rng(seed), packed, (4, 4), Recipe(scales=(2.0, 2.0)))
        assert len(target.boxes) == len(target.labels) == len(target.masks)
        assert 3 not in target.labels
        seen |= {len(target.labels)}
    assert 0 in seen
    assert 1 in seen


def test_beyond_the_image_there_is_its_mean_colour_and_no_object() -> None:
    sample = overlapping()
    image, target, semantic = random_object_view(np.random.default_rng(0), pack(sample), (30, 30), STILL)
    assert semantic is not None
    assert int((semantic != VOID).sum()) == int((sample.semantic != VOID).sum())
    assert int(target.masks.sum()) == int(sample.masks[:3].sum())
    corner = image[:, 0, 0]
    torch.testing.assert_close(corner, torch.full((3,), float(sample.image.mean() / 255)), atol=1e-4, rtol=0)


def test_rescaling_halves_everything() -> None:
    sample = sample_of([object_data.box(0, 0, 4, 4), object_data.box(4, 6, 10, 12)], [1, 2])
    half = rescale_packed(pack(sample), 0.5)
    assert half.image.shape == (5, 6, 3)
    assert half.layers.dtype == np.int16
    assert half.semantic is not None
    assert half.semantic.dtype == np.uint8
    assert np.array_equal(half.layers[0], pack(sample).layers[0][::2, ::2])
    assert np.array_equal(half.semantic, sample.semantic[::2, ::2])


def equal(a: ObjectBatch, b: ObjectBatch) -> bool:
    """Whether two batches hold the same bits."""
    pairs = [
        (a.images, b.images),
        *(p for t, u in zip(a.targets, b.targets, strict=True) for p in zip(t, u, strict=True)),
    ]
    if a.semantic is not None and b.semantic is not None:
        pairs.append((a.semantic, b.semantic))
    return all(torch.equal(x, y) for x, y in pairs)


def test_streams_are_functions_of_seed_and_step() -> None:
    samples, recipe = open_objects("scenes:5", "train"), Recipe(batch=2, crop=(48, 64), colour=0.1)
    stream = ObjectStream(samples, recipe, 3)
    first = list(islice(stream.batches(0), 4))
    later = next(ObjectStream(samples, recipe, 3).batches(3))
    assert equal(first[3], later)
    assert equal(first[2], stream.batch(2))
    threaded = list(islice(ObjectStream(samples, recipe, 3).batches(0, threads=2), 4))
    assert all(equal(a, b) for a, b in zip(first, threaded, strict=True))
    assert not equal(first[0], ObjectStream(samples, recipe, 4).batch(0))
    assert first[0].images.shape == (2, 3, 48, 64)
    assert first[0].semantic is not None
    assert first[0].semantic.shape == (2, 48, 64)


def test_processes_share_a_batch() -> None:
    samples, recipe = open_objects("scenes:4", "train"), Recipe(batch=4, crop=(48, 64))
    whole = ObjectStream(samples, recipe, 1).batch(2)
    shares = [ObjectStream(samples, recipe, 1, rank=rank, size=2).batch(2) for rank in range(2)]
    assert torch.equal(torch.stack((shares[0].images, shares[1].images), 1).flatten(0, 1), whole.images)


@pytest.mark.parametrize("write", [object_data.write_coco, object_data.write_nuclei])
def test_data_without_stuff_have_no_classes_of_pixels(tmp_path: Path, write: object) -> None:
    write(tmp_path)  # type: ignore[operator]
    kind = "nuclei" if (tmp_path / "index.csv").is_file() else "coco"
    stream = ObjectStream(open_objects(f"{kind}:{tmp_path}", "train"), Recipe(batch=2), 0)
    batch = stream.batch(0)
    assert batch.semantic is None
    assert batch.images.shape == (2, 3, 10, 12)
    assert len(batch.targets) == 2
