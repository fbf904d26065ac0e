"""Predictors of instances and panoptic maps without a network: what any detector has to beat."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segeval.errors import SegevalError
from segeval.samples.taxonomy import Taxonomy
from segeval_baselines.data.objects import ObjectSamples, thing_positions
from segeval_baselines.data.samples import read_image
from segeval_baselines.prediction.labels import claim
from segeval_baselines.prediction.object_inference import Found, PanopticFound
from segeval_baselines.prediction.objects import ObjectOutputs, collect, write_instances, write_panoptic

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
