"""The stream of training batches of images with objects: a function of seed and step, as `batches.Stream` is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from segeval_baselines.data.augment import jitter, read_bilinear, read_nearest, scaled_size, view_grid
from segeval_baselines.data.objects import ObjectSample, ObjectSamples
from segeval_baselines.data.samples import VOID
from segeval_baselines.detection.targets import DetectionTarget
from segeval_baselines.layers.blocks import Size
from segeval_baselines.ops.boxes import mask_boxes
from segeval_baselines.recipes import Recipe
from segeval_baselines.training.batches import BatchStream, Kept


class ObjectBatch(NamedTuple):
    """Images (N, 3, h, w) in [0, 1], their objects, and class positions (N, h, w) of int64 where they are known."""

    images: Tensor
    targets: tuple[DetectionTarget, ...]
    semantic: Tensor | None


class PackedSample(NamedTuple):
    """A sample as it is kept: maps of object numbers instead of a mask each.

    Attributes
    ----------
    image
        (H, W, 3) uint8.
    layers
        (L, H, W) int16: number k is object k - 1, 0 is none. Objects that share a pixel lie in different layers.
    labels
        (n,) of int64.
    semantic
        As in `ObjectSample`.
    """

    image: NDArray[np.uint8]
    layers: NDArray[np.int16]
    labels: NDArray[np.int64]
    semantic: NDArray[np.uint8] | None

    @property
    def nbytes(self) -> int:
        """Bytes of the pixels."""
        return self.image.nbytes + self.layers.nbytes + (0 if self.semantic is None else self.semantic.nbytes)


def pack(sample: ObjectSample) -> PackedSample:
    """Leave crowds and empty masks out, and draw the other objects into as few layers as a greedy choice finds."""
    kept = ~sample.crowd & sample.masks.any(axis=(1, 2))
    masks, labels = sample.masks[kept], sample.labels[kept]
    depth = masks.sum(axis=0, dtype=np.int16) if len(masks) else np.zeros(sample.image.shape[:2], np.int16)
    if int(depth.max(initial=0)) <= 1:
        layers = [np.zeros(depth.shape, np.int16)]
        if len(masks):
            layers[0] = np.where(depth > 0, masks.argmax(axis=0) + 1, 0).astype(np.int16)
        return PackedSample(sample.image, np.stack(layers), labels, sample.semantic)
    layers = []
    for number, mask in enumerate(masks, 1):
        for layer in layers:
            if not layer[mask].any():
                layer[mask] = number
                break
        else:
            layers.append(np.where(mask, number, 0).astype(np.int16))
    return PackedSample(sample.image, np.stack(layers), labels, sample.semantic)


def rescale_packed(packed: PackedSample, factor: float) -> PackedSample:
    """Everything resized by a factor: the image with antialiasing, the maps to the nearest pixel."""
    if factor == 1.0:
        return packed
    size = scaled_size((packed.image.shape[0], packed.image.shape[1]), factor)[::-1]

    def nearest(values: NDArray[np.generic]) -> NDArray[np.generic]:
        # Of the modes that hold 16 bits, 32-bit integers keep the sign.
        wide = Image.fromarray(values.astype(np.int32))
        return np.array(wide.resize(size, Image.Resampling.NEAREST)).astype(values.dtype)

    image = np.array(Image.fromarray(packed.image).resize(size, Image.Resampling.BILINEAR))
    layers = np.stack([nearest(layer) for layer in packed.layers])
    semantic = None if packed.semantic is None else nearest(packed.semantic)
    return PackedSample(image, layers, packed.labels, semantic)  # type: ignore[arg-type]


ObjectView = tuple[Tensor, DetectionTarget, Tensor | None]
"""Image, its objects, and class positions where they are known."""


def random_object_view(rng: np.random.Generator, packed: PackedSample, target: Size, recipe: Recipe) -> ObjectView:
    """A view as the network is trained on: image (3, h, w), the objects seen in it, class positions (h, w).

    Image, objects and classes are read through one grid. Beyond the image its mean colour is seen, no object, and void:
    a reflection would show objects that nobody marked.
    """
    image = torch.from_numpy(packed.image).permute(2, 0, 1).float() / 255.0
    grid = view_grid(rng, (image.shape[1], image.shape[2]), target, recipe)
    mean = image.mean(dim=(1, 2), keepdim=True)
    seen = jitter(rng, read_bilinear(image - mean, grid, "zeros") + mean, recipe.colour)
    numbers = read_nearest(torch.from_numpy(packed.layers), grid, 0)
    visible = torch.bincount(numbers.flatten(), minlength=len(packed.labels) + 1)[1:].nonzero()[:, 0]
    masks = torch.zeros((len(visible), *target), dtype=torch.uint8)
    for layer in numbers:
        masks |= layer == visible[:, None, None] + 1
    objects = DetectionTarget(mask_boxes(masks), torch.from_numpy(packed.labels)[visible], masks)
    semantic = None if packed.semantic is None else read_nearest(torch.from_numpy(packed.semantic), grid, VOID)
    return seen, objects, semantic


def _rescaled(packed: PackedSample, recipe: Recipe) -> PackedSample:
    return rescale_packed(packed, recipe.zoom((packed.image.shape[0], packed.image.shape[1])))


class ObjectStream(BatchStream[ObjectView, ObjectBatch]):
    """Batches of random views with their objects.

    Parameters
    ----------
    samples, recipe, seed
        What is drawn from, how, and from which seed.
    rank, size
        Which share of each batch is this process's.
    """

    def __init__(self, samples: ObjectSamples, recipe: Recipe, seed: int, *, rank: int = 0, size: int = 1) -> None:
        super().__init__(samples.keys(), recipe, seed, rank, size)
        self.samples = samples
        self._kept: Kept[PackedSample] = Kept(
            lambda key: _rescaled(pack(samples.load(key)), recipe), lambda packed: packed.nbytes
        )
        first = recipe.crop or self._kept[self._order.keys[0]].image.shape
        self.target: Size = (first[0], first[1])

    def view(self, rng: np.random.Generator, key: str) -> ObjectView:
        return random_object_view(rng, self._kept[key], self.target, self.recipe)

    def collated(self, views: Sequence[ObjectView]) -> ObjectBatch:
        semantic = [v[2] for v in views if v[2] is not None]
        images, targets = torch.stack([v[0] for v in views]), tuple(v[1] for v in views)
        return ObjectBatch(images, targets, torch.stack(semantic) if len(semantic) == len(views) else None)
