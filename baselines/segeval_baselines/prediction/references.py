"""Predictors without a network: what any network has to beat.

Each is counted on a training split in one pass: the most frequent class, the most frequent class at each pixel, at each
colour, and at each colour and place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segeval.errors import SegevalError
from segeval.samples.taxonomy import Taxonomy
from segeval_baselines.data.objects import ObjectSamples, thing_positions
from segeval_baselines.data.samples import VOID, Samples, read_image
from segeval_baselines.prediction.labels import claim, write_labels
from segeval_baselines.prediction.object_inference import Found, PanopticFound
from segeval_baselines.prediction.objects import ObjectOutputs, collect, write_instances, write_panoptic

Cells = Callable[[NDArray[np.uint8]], NDArray[np.int64]]


@dataclass(frozen=True)
class Reference:
    """A table of cells.

    Parameters
    ----------
    levels
        Levels that each colour channel is divided into.
    rows, columns
        Places that the image is divided into; 0 for every pixel of its own.
    """

    about: str
    levels: int
    rows: int
    columns: int


REFERENCES = {
    "constant": Reference("the most frequent class everywhere", 1, 1, 1),
    "mode": Reference("the most frequent class at each pixel", 1, 0, 0),
    "colour": Reference("the most frequent class of each colour (16 levels a channel)", 16, 1, 1),
    "colour-position": Reference("the most frequent class of each colour in each of 12 x 16 places", 8, 12, 16),
}


@dataclass(frozen=True)
class CountedReference:
    """A counted reference: the class of each cell, and the size that places refer to."""

    rule: Reference
    size: tuple[int, int]
    best: NDArray[np.uint8]

    def labels(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The class of each pixel: positions (H, W)."""
        return self.best[_cells(self.rule, self.size, image)]


def count(name: str, samples: Samples) -> CountedReference:
    """Count a reference on a training split.

    Raises
    ------
    SegevalError
        For an unknown name.
    """
    if name not in REFERENCES:
        raise SegevalError(f"there is no reference {name!r}", remedy=f"take {', '.join(REFERENCES)}")
    rule, classes = REFERENCES[name], len(samples.taxonomy)
    keys = list(samples.keys())
    height, width = samples.load(keys[0]).labels.shape
    size = (rule.rows or height, rule.columns or width)
    table = np.zeros((size[0] * size[1] * rule.levels**3, classes), np.int64)
    for key in keys:
        sample = samples.load(key)
        labelled = sample.labels != VOID
        cells = _cells(rule, size, sample.image)[labelled]
        flat = np.bincount(cells * classes + sample.labels[labelled], minlength=table.size)
        table += flat.reshape(table.shape)
    # A cell that was never seen falls back on its colour anywhere, and then on the most frequent class.
    places = table.reshape(size[0] * size[1], rule.levels**3, classes)
    colours = places.sum(axis=0)
    colours = np.where(colours.sum(axis=-1, keepdims=True) > 0, colours, colours.sum(axis=0))
    places = np.where(places.sum(axis=-1, keepdims=True) > 0, places, colours)
    return CountedReference(rule, size, places.argmax(axis=-1).reshape(-1).astype(np.uint8))


def _cells(rule: Reference, size: tuple[int, int], image: NDArray[np.uint8]) -> NDArray[np.int64]:
    height, width = image.shape[:2]
    rows = np.arange(height) * size[0] // height
    columns = np.arange(width) * size[1] // width
    cell: NDArray[np.int64] = rows[:, None] * size[1] + columns[None, :]
    for channel in range(3):
        cell = cell * rule.levels + image[..., channel].astype(np.int64) * rule.levels // 256
    return cell


def predict_reference(name: str, train: Samples, images: dict[str, Path], taxonomy: Taxonomy, out: Path) -> int:
    """Count a reference on a split and write its label PNGs for images; returns how many."""
    claim(out, {"reference": name, "data": train.name})
    counted = count(name, train)
    for stem, path in images.items():
        with Image.open(path) as opened:
            image = np.array(opened.convert("RGB"))
        write_labels(out / f"{stem}.png", counted.labels(image), taxonomy)
    return len(images)


OBJECT_REFERENCES = {
    "no-instances": ("instance", "nothing is found"),
    "no-segments": ("panoptic", "nothing is found"),
    "stuff-mode": ("panoptic", "no thing, and the most frequent stuff in each of 24 x 32 places, a segment each"),
}
"""Task, and what is predicted."""

_PLACES = (24, 32)


def predict_object_reference(name: str, train: ObjectSamples, images: dict[str, Path], outputs: ObjectOutputs) -> int:
    """Write a reference's predictions of images; returns how many.

    Parameters
    ----------
    name
        A key of `OBJECT_REFERENCES`.
    train
        What is counted.
    images, outputs
        Files by stem, and what is written of them.

    Raises
    ------
    SegevalError
        For an unknown name, or stuff that the data don't know.
    """
    if name not in OBJECT_REFERENCES:
        raise SegevalError(f"there is no reference {name!r}", remedy=f"take {', '.join(OBJECT_REFERENCES)}")
    task, taxonomy = OBJECT_REFERENCES[name][0], train.taxonomy
    for stem in images:
        outputs.image_id(stem)
    cells = frequent_stuff(train) if name == "stuff-mode" else None
    claim(outputs.folder, {"reference": name, "data": train.name}, ("*.json", "*/*.png", "*/*.npz"))
    for stem, path in images.items():
        image = read_image(path)
        size = (image.shape[0], image.shape[1])
        if task == "instance":
            none = np.zeros((0, 4), np.float32)
            found = Found(np.zeros(0, np.int64), none[:, 0], none, (), np.zeros(size, np.int32))
            write_instances(found, taxonomy, image, stem, outputs)
        else:
            write_panoptic(stuff_map(cells, taxonomy, size), taxonomy, image, stem, outputs)
    collect(task, outputs, list(images), taxonomy)
    return len(images)


def frequent_stuff(train: ObjectSamples) -> NDArray[np.int64]:
    """The most frequent stuff in each place of a split's images: (24, 32) positions in the taxonomy."""
    taxonomy = train.taxonomy
    stuff = [p for p in range(len(taxonomy)) if p not in set(thing_positions(taxonomy))]
    counts = np.zeros((len(taxonomy), *_PLACES), np.int64)
    for key in train.keys():
        semantic = train.load(key).semantic
        if semantic is None or not stuff:
            raise SegevalError(f"{train.name} has no stuff", remedy="take the reference no-instances")
        small = np.array(Image.fromarray(semantic).resize(_PLACES[::-1], Image.Resampling.NEAREST))
        for position in stuff:
            counts[position] += small == position
    # A place that never showed stuff falls back on the most frequent one.
    counts += (counts.sum(axis=(1, 2)) == counts.sum(axis=(1, 2)).max())[:, None, None] & (counts.sum(axis=0) == 0)
    best: NDArray[np.int64] = counts.argmax(axis=0)
    return best


def stuff_map(cells: NDArray[np.int64] | None, taxonomy: Taxonomy, size: tuple[int, int]) -> PanopticFound:
    """Places stretched over an image, each class a segment; nothing at all without places."""
    if cells is None:
        return PanopticFound(np.zeros(size, np.int64), ())
    rows, columns = (np.arange(side) * count // side for side, count in zip(size, cells.shape, strict=True))
    positions = cells[rows[:, None], columns[None, :]]
    present, ids = np.unique(positions, return_inverse=True)
    segments = tuple({"id": k, "category_id": taxonomy.ids[p]} for k, p in enumerate(present.tolist(), 1))
    return PanopticFound(ids.reshape(size).astype(np.int64) + 1, segments)
