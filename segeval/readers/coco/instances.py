"""COCO instances JSON (truth) and COCO results JSON (predictions)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segeval.errors import Caution, SegevalError
from segeval.readers.coco import records
from segeval.readers.coco.records import Records
from segeval.readers.coco.scanning import read_instances, read_results
from segeval.samples.instances import InstanceColumns, Instances
from segeval.samples.pairs import Key, Pair
from segeval.samples.taxonomy import Taxonomy, positions

MOST_PIXELS = 2**31 - 1


class CocoInstances:
    """The truth of an instances JSON: images, annotations, categories.

    Parameters
    ----------
    path
        The file.
    masks
        Whether segmentations are read (`--iou segm`), or boxes alone.

    Raises
    ------
    SegevalError
        If the file is no instances JSON, or for an unknown image or category, ids given twice, sizes that contradict
        each other, or a value of the wrong kind.
    """

    by_id = True

    def __init__(self, path: str | Path, masks: bool = True) -> None:
        self.path = Path(path)
        file = read_instances(self.path, masks)
        self.taxonomy = _taxonomy(file.categories, self.path)
        images, annotations = file.images, file.annotations
        _require(images, self.path, "image", (records.ID, "id"))
        _refuse_twice(images, self.path, "image")
        self.images = images
        ids = images.integers[records.ID]
        self._keys = tuple(images.key(i) for i in ids.tolist()) if images.texts else tuple(ids.tolist())
        self._position = {key: i for i, key in enumerate(self._keys)}
        self._file = str(self.path)
        sizes = images.integers[[records.HEIGHT, records.WIDTH]]
        sized = images.has(records.HEIGHT) & images.has(records.WIDTH)
        bad = ~(sized & (sizes > 0).all(axis=0) & (sizes.prod(axis=0, dtype=np.float64) <= MOST_PIXELS))
        if masks and bad.any():
            row = int(np.argmax(bad))
            raise SegevalError(
                f"states no usable size (height {sizes[0, row]}, width {sizes[1, row]})",
                file=self.path,
                key=self._keys[row],
                remedy="give each image its height and width",
            )
        self.heights, self.widths = sizes
        self._sizes = sizes[0].tolist(), sizes[1].tolist()
        _require(
            annotations, self.path, "annotation", (records.IMAGE_ID, "image_id"), (records.CATEGORY_ID, "category_id")
        )
        _refuse_twice(annotations, self.path, "annotation")
        image = self.image_of(annotations)
        if (image < 0).any():
            raise SegevalError(self.unknown(annotations, image, "annotation"), file=self.path, remedy="add the images")
        _check_values(annotations, self.path, "annotation", self.taxonomy)
        self._columns, self._offsets = _by_image(annotations, image, self, "annotation")

    def keys(self) -> Sequence[Key]:
        """The images' ids, in the order of the file."""
        return self._keys

    def name(self, key: Key) -> str:
        """The id as text."""
        return str(key)

    def file(self, key: Key) -> str:
        """The JSON, whatever the image."""
        return self._file

    def load(self, key: Key) -> Instances:
        """The truths of one image."""
        return self.rows_of(key, self._columns, self._offsets)

    def rows_of(self, key: Key, columns: InstanceColumns, offsets: Sequence[int]) -> Instances:
        """One image's part of columns that lie in the order of the images."""
        i = self._position[key]
        heights, widths = self._sizes
        return Instances(columns, offsets[i], offsets[i + 1], heights[i], widths[i])

    def image_of(self, rows: Records) -> NDArray[np.int64]:
        """Positions of the images that records name, -1 for unknown ones."""
        wanted = rows.integers[records.IMAGE_ID]
        if rows.texts or self.images.texts:
            return np.array([self._position.get(rows.key(v), -1) for v in wanted.tolist()], np.int64)
        listed = self.images.integers[records.ID]
        at = positions(wanted, listed)
        return np.where(at < len(listed), at, -1)

    def unknown(self, rows: Records, image: NDArray[np.int64], what: str) -> str:
        """Which images records name that aren't listed."""
        absent = np.unique(rows.integers[records.IMAGE_ID][image < 0])
        names = ", ".join(str(rows.key(v)) for v in absent[:3].tolist()) + (", ..." if len(absent) > 3 else "")
        return f"{int((image < 0).sum())} {what}s are of images that the truth does not list ({names})"


class CocoResults:
    """The predictions of a results JSON, read for the images of a truth.

    Parameters
    ----------
    path
        The file.
    truth
        The truth that knows images and categories.
    masks
        Whether segmentations are read (`--iou segm`), or boxes alone.
    strict
        Whether results of unknown images are refused, or left out and counted in `cautions`.

    Raises
    ------
    SegevalError
        If the file is no results JSON, or for an unknown image or category, a score that is absent or not finite, or
        a mask of another size.
    """

    by_id = True

    def __init__(self, path: str | Path, truth: CocoInstances, masks: bool = True, *, strict: bool = True) -> None:
        self.path, self.truth, self._file = Path(path), truth, str(path)
        self.cautions: tuple[Caution, ...] = ()
        rows = read_results(self.path, masks)
        if not masks and (rows.has(records.SEGMENTATION) & ~rows.has(records.BBOX)).any():
            rows = read_results(self.path, True)  # boxes are then those of the masks
        _require(
            rows,
            self.path,
            "result",
            (records.IMAGE_ID, "image_id"),
            (records.CATEGORY_ID, "category_id"),
            (records.SCORE, "score"),
        )
        image = truth.image_of(rows)
        if (image < 0).any():
            text = truth.unknown(rows, image, "result")
            if strict:
                wrong = bool(rows.texts) != bool(truth.images.texts)
                remedy = "write image ids as the truth does" if wrong else "remove them, or give --missing skip"
                raise SegevalError(text, file=self.path, remedy=remedy)
            self.cautions = (Caution("prediction-extra", f"{text} (ignored)"),)
            rows, image = rows.take(np.flatnonzero(image >= 0)), image[image >= 0]
        _check_values(rows, self.path, "result", truth.taxonomy)
        self._columns, self._offsets = _by_image(rows, image, truth, "result", self.path)

    def keys(self) -> Sequence[Key]:
        """The images of the truth: one without results simply has no detections."""
        return self.truth.keys()

    def name(self, key: Key) -> str:
        """The id as text."""
        return str(key)

    def file(self, key: Key) -> str:
        """The JSON, whatever the image."""
        return self._file

    def pairs(self, keys: Sequence[Key]) -> Iterator[Pair]:
        """Images with their truth and detections."""
        truth = self.truth
        position, (heights, widths), files = truth._position, truth._sizes, (truth._file, self._file)
        columns, offsets, others, starts = truth._columns, truth._offsets, self._columns, self._offsets
        for key in keys:
            i = position[key]
            size = heights[i], widths[i]
            ours = Instances(columns, offsets[i], offsets[i + 1], *size)
            yield Pair(key, ours, Instances(others, starts[i], starts[i + 1], *size), *files)

    def load(self, key: Key) -> Instances:
        """The detections of one image."""
        return self.truth.rows_of(key, self._columns, self._offsets)


def _taxonomy(categories: list[Any], path: Path) -> Taxonomy:
    names: dict[int, str] = {}
    for category in categories:
        number = category.get("id") if isinstance(category, dict) else None
        if not isinstance(number, int) or isinstance(number, bool) or number < 0:
            raise SegevalError(
                f"category {category!r:.60} has no integer id", file=path, remedy="number categories from 0"
            )
        if number in names:
            raise SegevalError(
                f"category id {number} is given twice", file=path, remedy="give each category its own id"
            )
        names[number] = str(category.get("name", number))
    if not names:
        raise SegevalError("lists no categories", file=path, remedy="give categories with id and name")
    ids = tuple(sorted(names))
    return Taxonomy(ids, tuple(names[i] for i in ids))


def _require(rows: Records, path: Path, what: str, *fields: tuple[int, str]) -> None:
    for bit, name in fields:
        absent = ~rows.has(bit)
        if absent.any():
            row = int(np.argmax(absent))
            raise SegevalError(f"{what} {row} has no {name}", file=path, remedy=f"give each {what} its {name}")


def _refuse_twice(rows: Records, path: Path, what: str) -> None:
    ids = rows.integers[records.ID][rows.has(records.ID)]
    values, counts = np.unique(ids, return_counts=True)
    if (counts > 1).any():
        twice = rows.key(int(values[np.argmax(counts > 1)]))
        text = f"{what} id {twice} is given {counts.max()} times"
        raise SegevalError(text, file=path, remedy=f"give each {what} its own id")


def _check_values(rows: Records, path: Path, what: str, taxonomy: Taxonomy) -> None:
    """Refuse categories, crowds, scores, areas and boxes that no rule admits."""
    category, crowd, box = rows.integers[records.CATEGORY_ID], rows.integers[records.ISCROWD], rows.reals[2:]
    checks = [
        (_known(category, taxonomy), "category", category, f"the truth does not list it: {taxonomy.hint()}"),
        (np.isfinite(rows.reals[0]), "score", rows.reals[0], "give a finite score to each result"),
        (np.isfinite(rows.reals[1]), "area", rows.reals[1], "give the area in pixels"),
        (np.isfinite(box).all(axis=0), "bbox", box.T, "give four finite numbers"),
    ]
    if what == "annotation":
        checks.append(((crowd == 0) | (crowd == 1), "iscrowd", crowd, "give 0 or 1"))
    for good, name, values, remedy in checks:
        if not good.all():
            row = int(np.argmin(good))
            key = rows.key(int(rows.integers[records.IMAGE_ID, row]))
            text = f"{what} {_name(rows, row, what)} has the {name} {values[row].tolist()}"
            raise SegevalError(text, file=path, key=key, remedy=remedy)


def _known(category: NDArray[np.int64], taxonomy: Taxonomy) -> NDArray[np.bool_]:
    """Which categories are among the classes."""
    return positions(category, taxonomy.ids) < len(taxonomy)


def _name(rows: Records, row: int, what: str) -> Key:
    return rows.key(int(rows.integers[records.ID, row])) if what == "annotation" else row


def _by_image(
    rows: Records, image: NDArray[np.int64], truth: CocoInstances, what: str, path: Path | None = None
) -> tuple[InstanceColumns, list[int]]:
    """Columns with each image's records together, and where each image begins."""
    n = rows.integers
    kinds = n[records.KIND].astype(np.uint8)
    encoded = kinds > records.KIND_POLYGON
    wrong = encoded & (
        (n[records.SIZE_HEIGHT] != truth.heights[image]) | (n[records.SIZE_WIDTH] != truth.widths[image])
    )
    if wrong.any():
        row = int(np.argmax(wrong))
        h, w = n[records.SIZE_HEIGHT, row], n[records.SIZE_WIDTH, row]
        size = f"{truth.heights[image[row]]} x {truth.widths[image[row]]}"
        raise SegevalError(
            f"{what} {_name(rows, row, what)} has a mask of {h} x {w} where the image is {size} (height x width)",
            file=path or truth.path,
            key=truth.keys()[int(image[row])],
            remedy="encode masks at the image's size",
        )
    order: Any = slice(None)
    if (np.diff(image) < 0).any():
        order = np.argsort(image.astype(np.uint16) if len(truth.keys()) < 2**16 else image, kind="stable")
    ids = n[records.ID] if what == "annotation" else np.arange(len(rows))
    if what == "annotation":
        ids = np.where(rows.has(records.ID), ids, -1)
    areas = np.where(rows.has(records.AREA), rows.reals[1], np.nan)
    boxes = np.where(rows.has(records.BBOX)[:, None], rows.reals[2:].T, np.nan)
    columns = InstanceColumns(
        np.ascontiguousarray(n[records.CATEGORY_ID][order]),
        np.ascontiguousarray(rows.reals[0][order]),
        areas[order],
        n[records.ISCROWD][order].astype(np.uint8),
        ids[order],
        np.ascontiguousarray(boxes[order]),
        kinds[order],
        np.ascontiguousarray(n[records.LOW][order]),
        np.ascontiguousarray(n[records.HIGH][order]),
        rows.text,
        rows.rings,
        rows.numbers,
        boxes_lead=bool(len(rows)) and bool(rows.has(records.BBOX)[0]),
    )
    counts = np.bincount(image, minlength=len(truth.keys()))
    return columns, [0, *np.cumsum(counts).tolist()]
