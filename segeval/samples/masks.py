"""Instances from arrays: dense masks, run-length masks, boxes and instance-id maps become columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segeval.errors import SegevalError
from segeval.samples.instances import InstanceColumns, Instances
from segeval.samples.labels import to_numpy

KIND_NONE, KIND_POLYGON, KIND_COUNTS, KIND_COMPRESSED = range(4)

# Run-length positions are 32-bit integers.
MOST_PIXELS = 2**31 - 1

# Kinds, low, high, text, rings, numbers of `InstanceColumns`.
MaskColumns = tuple[
    NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64], NDArray[np.uint8], NDArray[np.int64], NDArray[np.float64]
]

FIELDS = ("masks", "rle", "boxes", "labels", "scores", "areas", "crowd", "ids", "size")


def as_instances(
    data: Any, what: str, *, file: str | None = None, key: object | None = None, size: tuple[int, int] | None = None
) -> Instances:
    """One image's instances from a mapping of arrays; `Instances` pass through.

    Parameters
    ----------
    data
        A mapping with `masks` (N, H, W) booleans or 0/1, or `rle`, a list of {"size": [H, W], "counts": str, bytes or
        list}, or `boxes` (N, 4) as x, y, width, height; and `labels` (N) class ids (default 0), `scores` (N) for
        predictions (default 1), `areas` (N), `crowd` (N), `ids` (N), `size` (H, W).
    what
        ``truth`` or ``prediction``, for messages.
    file, key
        Where it came from, for messages.
    size
        The image's (height, width) where the data don't tell.

    Raises
    ------
    SegevalError
        For unknown fields, columns of different lengths, or arrays of the wrong kind.
    """
    if isinstance(data, Instances):
        if size is not None and size != (0, 0) and (data.height, data.width) not in (size, (0, 0)):
            raise SegevalError(
                f"{what} is {data.width}x{data.height} but its truth is {size[1]}x{size[0]} (width x height)",
                file=file,
                key=key,
                remedy="predict at the truth's size",
            )
        return data
    try:
        return _from_mapping(data, what, size)
    except SegevalError as error:
        raise SegevalError(error.message, file=file, key=key, remedy=error.remedy) from None


def _from_mapping(data: Any, what: str, size: tuple[int, int] | None) -> Instances:
    if not isinstance(data, Mapping):
        raise SegevalError(f"{what} is a {type(data).__name__}, no instances", remedy="give a mapping of arrays")
    strange = [name for name in data if name not in FIELDS]
    if strange:
        raise SegevalError(f"{what} has the unknown field {strange[0]!r}", remedy=f"known are {', '.join(FIELDS)}")
    if "size" in data:
        size = _size_of(data["size"], what)
    if "rle" in data:
        if not isinstance(data["rle"], Sequence):
            raise SegevalError(f"{what} rle is a {type(data['rle']).__name__}", remedy="give a list of masks")
        count = len(data["rle"])
        size, columns = _run_lengths(data["rle"], what, size)
        return _finish(data, what, count, size, columns)
    if "masks" in data:
        masks = to_numpy(data["masks"], "masks")
        if masks.ndim != 3 or (masks.dtype.kind != "b" and masks.size and not np.isin(masks, (0, 1)).all()):
            raise SegevalError(
                f"{what} masks have shape {masks.shape} and dtype {masks.dtype}", remedy="give (N, H, W) of 0 and 1"
            )
        found = (int(masks.shape[1]), int(masks.shape[2]))
        _require_size(size, found, what)
        return _finish(data, what, len(masks), found, _of_counts(*_counts_of(masks.astype(bool))))
    if "boxes" in data:
        count = len(np.atleast_1d(to_numpy(data["boxes"], "boxes")))
        none = np.zeros(count, np.int64)
        columns = (np.zeros(count, np.uint8), none, none, _buffer(b""), np.zeros(1, np.int64), np.zeros(0))
        return _finish(data, what, count, size or (0, 0), columns)
    raise SegevalError(f"{what} has neither masks nor boxes", remedy="give masks, rle or boxes")


def _of_counts(rings: NDArray[np.int64], numbers: NDArray[np.float64]) -> MaskColumns:
    """Mask columns of counts, one ring a mask."""
    low = np.arange(len(rings) - 1, dtype=np.int64)
    return np.full(len(low), KIND_COUNTS, np.uint8), low, low + 1, _buffer(b""), rings, numbers


def _size_of(data: Any, what: str) -> tuple[int, int]:
    """Height and width as a caller states them."""
    stated = to_numpy(data, f"the size of {what}").ravel()
    if stated.shape != (2,) or not np.isfinite(stated).all() or (stated < 0).any() or (stated % 1).any():
        raise SegevalError(f"{what} has the size {data!r:.60}", remedy="give (height, width)")
    return int(stated[0]), int(stated[1])


def _require_size(size: tuple[int, int] | None, found: Any, what: str) -> None:
    if size is not None and found is not None and size != (0, 0) and tuple(found) != tuple(size):
        raise SegevalError(
            f"{what} is {found[1]}x{found[0]} but its truth is {size[1]}x{size[0]} (width x height)",
            remedy="predict at the truth's size",
        )


def _run_lengths(masks: Sequence[Any], what: str, size: tuple[int, int] | None) -> tuple[tuple[int, int], MaskColumns]:
    """Columns of a list of run-length masks."""
    kinds, text = np.zeros(len(masks), np.uint8), b""
    low: list[int] = []
    high: list[int] = []
    rings: list[int] = [0]
    numbers: list[float] = []
    for i, mask in enumerate(masks):
        if not isinstance(mask, Mapping) or "size" not in mask or "counts" not in mask:
            raise SegevalError(f"{what} mask {i} is no run-length mask", remedy='give {"size": [H, W], "counts": ...}')
        stated = _size_of(mask["size"], f"{what} mask {i}")
        _require_size(size, stated, f"{what} mask {i}")
        size = stated
        counts = mask["counts"]
        if isinstance(counts, (str, bytes)):
            raw = counts.encode("ascii", "replace") if isinstance(counts, str) else counts
            raw = raw.replace(b'"', b"!").replace(b"\\", b"\\\\")
            kinds[i] = KIND_COMPRESSED
            low.append(len(text))
            high.append(len(text) + len(raw))
            text += raw + b'"'
        else:
            kinds[i] = KIND_COUNTS
            low.append(len(rings) - 1)
            high.append(len(rings))
            numbers.extend(to_numpy(counts, "counts").astype(np.float64).ravel().tolist())
            rings.append(len(numbers))
    spans = np.array(low, np.int64), np.array(high, np.int64)
    columns = (kinds, *spans, _buffer(text), np.array(rings, np.int64), np.array(numbers, np.float64))
    return size or (0, 0), columns


def _buffer(text: bytes) -> NDArray[np.uint8]:
    # Of a bytearray, because compiled loops know read-only arrays as another type.
    return np.frombuffer(bytearray(text or b'"'), np.uint8)


def _finish(data: Mapping[str, Any], what: str, count: int, size: tuple[int, int], masks: MaskColumns) -> Instances:
    if size[0] * size[1] > MOST_PIXELS:
        raise SegevalError(f"{what} of {size[1]}x{size[0]} pixels", remedy=f"at most {MOST_PIXELS} pixels")

    def column(name: str, default: float, kind: Any) -> NDArray[Any]:
        if data.get(name) is None:
            return np.full(count, default, kind)
        values = to_numpy(data[name], name)
        if values.shape != (count,):
            raise SegevalError(
                f"{what} has {count} instances but {name} of shape {values.shape}", remedy="give one for each"
            )
        if kind == np.int64 and values.dtype.kind == "f":
            raise SegevalError(f"{what} {name} have dtype {values.dtype}", remedy="give integers")
        return values.astype(kind)

    boxes = np.full((count, 4), np.nan)
    if data.get("boxes") is not None:
        boxes = to_numpy(data["boxes"], "boxes").astype(np.float64)
        if boxes.shape != (count, 4) or not np.isfinite(boxes).all():
            raise SegevalError(
                f"{what} boxes have shape {boxes.shape}", remedy="give finite (N, 4): x, y, width, height"
            )
    ids = np.arange(1, count + 1, dtype=np.int64) if data.get("ids") is None else column("ids", 0, np.int64)
    columns = InstanceColumns(
        column("labels", 0, np.int64),
        column("scores", 1.0, np.float64),
        column("areas", np.nan, np.float64),
        column("crowd", 0, np.uint8),
        ids,
        np.ascontiguousarray(boxes),
        *masks,
    )
    columns = replace(columns, boxes_lead=data.get("boxes") is not None)
    return Instances(columns, 0, count, int(size[0]), int(size[1]))


def _counts_of(masks: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Ring offsets and counts of dense masks (N, H, W)."""
    count, pixels = len(masks), masks.shape[1] * masks.shape[2]
    flat = np.zeros((count, pixels + 1), bool)
    flat[:, 1:] = masks.transpose(0, 2, 1).reshape(count, pixels)
    row, place = np.nonzero(flat[:, 1:] != flat[:, :-1])
    return _counts_from_changes(row, place, np.full(count, pixels))


def _counts_from_changes(
    row: NDArray[Any], place: NDArray[Any], pixels: NDArray[Any]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Counts of masks whose value changes at ascending places of each row, which begins as background."""
    sizes = np.bincount(row, minlength=len(pixels)) + 1
    rings = np.concatenate([[0], np.cumsum(sizes)])
    borders = np.empty(rings[-1], np.int64)
    ends = rings[1:] - 1
    inner = np.ones(len(borders), bool)
    inner[ends] = False
    borders[inner] = place
    borders[ends] = pixels
    counts = np.diff(borders, prepend=0)
    counts[rings[:-1]] = borders[rings[:-1]]
    return rings.astype(np.int64), counts.astype(np.float64)


def instances_of_map(labels: NDArray[Any], *, divisor: int = 0) -> Instances:
    """Instances of a map of instance ids (H, W) where 0 is background.

    With a `divisor` an id is class * divisor + instance; an id below the divisor is a crowd of the class `id`.
    """
    from segeval.kernels.decoding import rle

    height, width = labels.shape
    flat = np.ascontiguousarray(labels.T, dtype=np.uint32).ravel()
    values, starts, ends = rle.label_runs(flat)
    order = np.argsort(values, kind="stable")
    ids, row = np.unique(values[order], return_inverse=True)
    place = np.column_stack([starts[order], ends[order]]).ravel()
    # Runs that touch (down one column and on in the next) are one change less.
    rows = np.repeat(row, 2)
    if len(place):
        touching = np.zeros(len(place), bool)
        touching[1:-1:2] = (place[1:-1:2] == place[2::2]) & (rows[1:-1:2] == rows[2::2])
        touching[2::2] |= touching[1:-1:2]
        place, rows = place[~touching], rows[~touching]
    at_end = place == height * width
    place, rows = place[~at_end], rows[~at_end]
    rings, numbers = _counts_from_changes(rows, place, np.full(len(ids), height * width))
    numbers_of = ids.astype(np.int64)
    classes = (
        np.where(numbers_of >= divisor, numbers_of // divisor, numbers_of) if divisor else np.zeros_like(numbers_of)
    )
    crowd = (numbers_of < divisor).astype(np.uint8) if divisor else np.zeros(len(ids), np.uint8)
    columns = InstanceColumns(
        classes,
        np.ones(len(ids)),
        np.full(len(ids), np.nan),
        crowd,
        numbers_of,
        np.full((len(ids), 4), np.nan),
        *_of_counts(rings, numbers),
    )
    return Instances(columns, 0, len(ids), height, width)
