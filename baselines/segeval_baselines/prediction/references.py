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
from segeval_baselines.data.samples import VOID, Samples
from segeval_baselines.prediction.labels import claim, write_labels

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
class Counted:
    """A counted reference: the class of each cell, and the size that places refer to."""

    rule: Reference
    size: tuple[int, int]
    best: NDArray[np.uint8]

    def labels(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The class of each pixel: positions (H, W)."""
        return self.best[_cells(self.rule, self.size, image)]


def count(name: str, samples: Samples) -> Counted:
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
    return Counted(rule, size, places.argmax(axis=-1).reshape(-1).astype(np.uint8))


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
