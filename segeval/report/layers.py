"""What a picture shows of one image: its truth, its prediction and where they differ, read again from the files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segeval.arrays import as_labels, resize_nearest
from segeval.errors import SegevalError
from segeval.panoptic import PanopticQuality
from segeval.readers.opening import open_panoptic, open_semantic
from segeval.readers.pairing import is_hidden, plain_name
from segeval.report.pictures import CORRECT, INVENTED, MISSED, POOR, VOID, WRONG_CLASS, borders, display_size, sample
from segeval.result import Result
from segeval.samples import Key, Pair
from segeval.semantic import SemanticIoU
from segeval.tasks import saved_rule
from segeval.taxonomy import Taxonomy

PHOTOS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")

_READING = ("missing", "pred_format", "gt_format", "pred_suffix", "gt_suffix")


@dataclass(frozen=True, eq=False)
class Layers:
    """Class positions (H, W), lines between segments, and kinds of error, at the size of display."""

    truth: NDArray[np.int64]
    truth_lines: NDArray[np.bool_]
    prediction: NDArray[np.int64]
    prediction_lines: NDArray[np.bool_]
    errors: NDArray[np.uint8]


class Files:
    """The recorded files of one run.

    Raises
    ------
    SegevalError
        If they are gone, or the run does not say where they were.
    """

    def __init__(self, result: Result, taxonomy: Taxonomy) -> None:
        try:
            pred, gt = (Path(str(result.provenance[side])) for side in ("pred", "gt"))
        except KeyError:
            raise SegevalError("the run does not say where its files are", remedy="score from paths") from None
        options: Mapping[str, Any] = result.provenance.get("options", {})
        reading = {name: options[name] for name in _READING if name in options}
        self.rule = saved_rule(dict(result.rule))
        self.taxonomy = taxonomy
        if result.task == "semantic":
            self.source = open_semantic(pred, gt, taxonomy=taxonomy, **reading)
        else:
            self.source = open_panoptic(pred, gt, taxonomy=taxonomy, void=self.rule.void_values, **reading)
        tally = result.tally
        self.digests = {} if tally is None else dict(zip(tally.keys, tally.digests.tolist(), strict=True))

    def name(self, key: Key) -> str:
        """The name under which the image pairs with files."""
        return self.source.truth.name(key)

    def layers(self, key: Key, side: int) -> Layers:
        """What is to be shown of one image.

        Raises
        ------
        SegevalError
            If a file is gone, damaged, or another one than was scored.
        """
        if key not in self.source.pairs:
            raise SegevalError("its files are gone", key=key)
        pair = self.source.load(key)
        if int(self.rule.observe([pair]).digests[0]) != self.digests.get(key):
            raise SegevalError("its truth has changed since it was scored", key=key)
        if isinstance(self.rule, SemanticIoU):
            return semantic_layers(self.rule, pair, self.taxonomy, side)
        return panoptic_layers(self.rule, pair, self.taxonomy, side)


def semantic_layers(rule: SemanticIoU, pair: Pair, taxonomy: Taxonomy, side: int) -> Layers:
    """Layers of two label maps."""
    truth, prediction = as_labels(pair.truth, "truth"), as_labels(pair.prediction, "prediction")
    if truth.shape != prediction.shape and rule.resize == "nearest":
        prediction = resize_nearest(prediction, *truth.shape)
    size = display_size(truth.shape[0], truth.shape[1], side)
    planes = []
    for labels, name in ((truth, "truth"), (prediction, "prediction")):
        values = sample(labels, *size).astype(np.int64).ravel()
        ids = rule.classes_of(values, name, np.zeros(values.size, np.int32), [pair.key], [None])
        planes.append(_positions(ids, taxonomy).reshape(size))
    a, b = planes
    none = len(taxonomy)
    errors = np.where(a == b, CORRECT, np.where(b == none, MISSED, WRONG_CLASS)).astype(np.uint8)
    errors[a == none] = VOID
    return Layers(a, borders(a), b, borders(b), errors)


def panoptic_layers(rule: PanopticQuality, pair: Pair, taxonomy: Taxonomy, side: int) -> Layers:
    """Layers of two panoptic maps: segments are told apart by lines, errors by what became of their segments."""
    from segeval.kernels import overlap

    found = rule.match(pair)
    maps = [overlap.rgb_ids(p) if p.ndim == 3 else p for p in (pair.truth.pixels, pair.prediction.pixels)]
    size = display_size(maps[0].shape[0], maps[0].shape[1], side)
    ids = [sample(m, *size).astype(np.int64) for m in maps]
    tables = (found.truth, found.prediction)
    at = [_places(i, table[0]) for i, table in zip(ids, tables, strict=True)]
    classes = [np.append(table[1], len(taxonomy))[a] for a, table in zip(at, tables, strict=True)]
    # Per segment: 0 none, 1 matched, 2 an error of its own, 3 of the wrong class, 4 not counted.
    truth_fate = np.append(np.choose(found.truth_state, [0, 1, 2, 4]), 0)
    fate = np.append(np.choose(found.prediction[2], [0, 1, 2, 4]), 0)
    partner = np.full(found.truth.shape[1] + 1, -1, np.int64)
    for t, p, _, _, same in found.matched.T.tolist():
        if same:
            partner[t] = p
        else:
            truth_fate[t] = 3
            if fate[p] == 2:
                fate[p] = 3
    t, p = truth_fate[at[0]], fate[at[1]]
    void = (classes[0] == len(taxonomy)) | (t == 4)
    agrees = (t == 1) & (partner[at[0]] == at[1])
    errors = np.full(size, POOR, np.uint8)
    errors[p == 2] = INVENTED
    errors[p == 3] = WRONG_CLASS
    errors[t == 2] = MISSED
    errors[t == 3] = WRONG_CLASS
    errors[void] = VOID
    errors[void & (p == 2)] = INVENTED
    errors[agrees] = CORRECT
    return Layers(classes[0], borders(ids[0]), classes[1], borders(ids[1]), errors)


def _positions(ids: NDArray[np.int64], taxonomy: Taxonomy) -> NDArray[np.int64]:
    order = np.argsort(taxonomy.ids, kind="stable")
    at = _places(ids, np.array(taxonomy.ids, np.int64)[order])
    return np.append(order, len(taxonomy))[at]


def _places(values: NDArray[np.int64], ascending: NDArray[np.int64]) -> NDArray[np.int64]:
    """Positions of values among ascending ones, and their number for values that are not there."""
    if not ascending.size:
        return np.zeros(values.shape, np.int64)
    at = np.searchsorted(ascending, values).clip(max=ascending.size - 1)
    return np.where(ascending[at] == values, at, ascending.size)


class Photos:
    """Photographs of a folder, found by the names of the images."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        root = Path(folder)
        if not root.is_dir():
            raise SegevalError("no such folder", file=root, remedy="give --images the folder of photographs")
        self.files: dict[str, Path] = {}
        for path in sorted(root.rglob("*")):
            if path.suffix.lower() in PHOTOS and not is_hidden(path.name):
                whole = path.relative_to(root).with_suffix("").as_posix()
                for name in (whole, plain_name(whole), plain_name(whole).rpartition("/")[2]):
                    self.files.setdefault(name, path)
        if not self.files:
            raise SegevalError("holds no photographs", file=root, remedy="give the folder of photographs")

    def load(self, name: str, height: int, width: int) -> Image.Image | None:
        """The photograph of an image, or None if there is none of its shape."""
        plain = plain_name(name)
        path = next((self.files[n] for n in (name, plain, plain.rpartition("/")[2]) if n in self.files), None)
        if path is None:
            return None
        try:
            with Image.open(path) as image:
                image.draft("RGB", (width, height))
                image.load()
                fits = abs(image.width * height - image.height * width) <= 0.02 * image.width * height
                return image.convert("RGB") if fits else None
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            return None


__all__ = ["Files", "Layers", "Photos", "panoptic_layers", "semantic_layers"]
