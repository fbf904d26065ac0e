"""Predictors without a network: what any network has to beat.

Each is counted on a training split in one pass: the most frequent class, the most frequent class at each pixel, at each
colour, and at each colour and place; no object at all, and the most frequent stuff in each place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segeval.errors import SegevalError
from segeval.samples.taxonomy import Taxonomy
from segeval_baselines.data.objects import ObjectSamples, thing_positions
from segeval_baselines.data.samples import VOID, Samples, Split
from segeval_baselines.layers.blocks import Size
from segeval_baselines.prediction.folders import FILES
from segeval_baselines.prediction.labels import LabelsFound
from segeval_baselines.prediction.object_inference import Found, PanopticFound
from segeval_baselines.prediction.outputs import Outputs, claim, listed_images, write_predictions

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Reference:
    """A predictor without a network.

    Parameters
    ----------
    task
        Whose predictions it makes.
    about
        What is predicted.
    count
        Counts a training split; gives what predicts one image.
    """

    task: str
    about: str
    count: Callable[[Any], Callable[[Pixels], Any]]


# ---- label maps ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cells:
    """What pixels are sorted into.

    Parameters
    ----------
    levels
        Levels that each colour channel is divided into.
    rows, columns
        Places that the image is divided into; 0 for every pixel of its own.
    """

    levels: int
    rows: int
    columns: int

    def numbers(self, size: Size, image: Pixels) -> NDArray[np.int64]:
        """The cell of each pixel of an image; `size` is that of the table of places."""
        height, width = image.shape[:2]
        rows = np.arange(height) * size[0] // height
        columns = np.arange(width) * size[1] // width
        cell: NDArray[np.int64] = rows[:, None] * size[1] + columns[None, :]
        for channel in range(3):
            cell = cell * self.levels + image[..., channel].astype(np.int64) * self.levels // 256
        return cell


@dataclass(frozen=True)
class FrequentClasses:
    """The most frequent class of each cell, and the size that places refer to."""

    cells: Cells
    size: Size
    best: NDArray[np.uint8]

    def labels(self, image: Pixels) -> NDArray[np.uint8]:
        """The class of each pixel: positions (H, W)."""
        return self.best[self.cells.numbers(self.size, image)]

    def __call__(self, image: Pixels) -> LabelsFound:
        return LabelsFound(self.labels(image))


def frequent_classes(cells: Cells, samples: Samples) -> FrequentClasses:
    """Count the classes of each cell on a training split."""
    classes, keys = len(samples.taxonomy), list(samples.keys())
    height, width = samples.load(keys[0]).labels.shape
    size = (cells.rows or height, cells.columns or width)
    table = np.zeros((size[0] * size[1] * cells.levels**3, classes), np.int64)
    for key in keys:
        sample = samples.load(key)
        labelled = sample.labels != VOID
        numbers = cells.numbers(size, sample.image)[labelled]
        flat = np.bincount(numbers * classes + sample.labels[labelled], minlength=table.size)
        table += flat.reshape(table.shape)
    # A cell that was never seen falls back on its colour anywhere, and then on the most frequent class.
    places = table.reshape(size[0] * size[1], cells.levels**3, classes)
    colours = places.sum(axis=0)
    colours = np.where(colours.sum(axis=-1, keepdims=True) > 0, colours, colours.sum(axis=0))
    places = np.where(places.sum(axis=-1, keepdims=True) > 0, places, colours)
    return FrequentClasses(cells, size, places.argmax(axis=-1).reshape(-1).astype(np.uint8))


def _frequent(about: str, levels: int, rows: int, columns: int) -> Reference:
    return Reference("semantic", about, partial(frequent_classes, Cells(levels, rows, columns)))


LABEL_REFERENCES = {
    "constant": _frequent("the most frequent class everywhere", 1, 1, 1),
    "mode": _frequent("the most frequent class at each pixel", 1, 0, 0),
    "colour": _frequent("the most frequent class of each colour (16 levels a channel)", 16, 1, 1),
    "colour-position": _frequent("the most frequent class of each colour in each of 12 x 16 places", 8, 12, 16),
}


# ---- objects -------------------------------------------------------------------------------------------------

_PLACES = (24, 32)


def no_instances(train: ObjectSamples) -> Callable[[Pixels], Found]:
    """Nothing is found."""

    def find(image: Pixels) -> Found:
        none = np.zeros((0, 4), np.float32)
        return Found(np.zeros(0, np.int64), none[:, 0], none, (), np.zeros(image.shape[:2], np.int32))

    return find


def no_segments(train: ObjectSamples) -> Callable[[Pixels], PanopticFound]:
    """Nothing is found."""
    return lambda image: PanopticFound(np.zeros(image.shape[:2], np.int64), ())


def stuff_mode(train: ObjectSamples) -> Callable[[Pixels], PanopticFound]:
    """The most frequent stuff in each place.

    Raises
    ------
    SegevalError
        If the data know no stuff.
    """
    cells = frequent_stuff(train)
    return lambda image: stuff_map(cells, train.taxonomy, (image.shape[0], image.shape[1]))


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


def stuff_map(cells: NDArray[np.int64], taxonomy: Taxonomy, size: Size) -> PanopticFound:
    """Places stretched over an image, each class a segment."""
    rows, columns = (np.arange(side) * count // side for side, count in zip(size, cells.shape, strict=True))
    positions = cells[rows[:, None], columns[None, :]]
    present, ids = np.unique(positions, return_inverse=True)
    segments = tuple({"id": k, "category_id": taxonomy.ids[p]} for k, p in enumerate(present.tolist(), 1))
    return PanopticFound(ids.reshape(size).astype(np.int64) + 1, segments)


OBJECT_REFERENCES = {
    "no-instances": Reference("instance", "nothing is found", no_instances),
    "no-segments": Reference("panoptic", "nothing is found", no_segments),
    "stuff-mode": Reference(
        "panoptic", "no thing, and the most frequent stuff in each of 24 x 32 places, a segment each", stuff_mode
    ),
}

# ---- all -----------------------------------------------------------------------------------------------------

REFERENCES = {**LABEL_REFERENCES, **OBJECT_REFERENCES}


def reference(name: str) -> Reference:
    """A reference by name.

    Raises
    ------
    SegevalError
        For an unknown name.
    """
    if name not in REFERENCES:
        raise SegevalError(f"there is no reference {name!r}", remedy=f"take {', '.join(REFERENCES)}")
    return REFERENCES[name]


def count(name: str, train: Split[Any]) -> Callable[[Pixels], Any]:
    """Count a reference on a training split; gives what predicts one image.

    Raises
    ------
    SegevalError
        For an unknown name, or stuff that the data don't know.
    """
    return reference(name).count(train)


def predict_reference(name: str, train: Split[Any], images: str | Path, outputs: Outputs) -> int:
    """Write a reference's predictions of a folder of images; returns how many.

    Parameters
    ----------
    name
        A key of `REFERENCES`.
    train
        What is counted.
    images, outputs
        The folder, and what is written of its images.

    Raises
    ------
    SegevalError
        For an unknown name, or stuff that the data don't know.
    """
    files = FILES[reference(name).task](outputs)
    found = listed_images(images)
    for stem in found:
        outputs.image_id(stem)
    find = count(name, train)
    claim(files, {"reference": name, "data": train.name})
    return write_predictions(find, found, files, train.taxonomy, again=True)
