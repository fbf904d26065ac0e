"""Counting where the tensors are: labels become small tables on the device, and only those cross over.

Nothing here waits for the device until counts are asked for. That rules out `torch.bincount`, `unique` and `nonzero`,
whose results have sizes that the host must learn; what can occur is known beforehand, so tables of fixed size do.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from segeval.errors import SegevalError
from segeval.metrics.semantic.channels import (
    LOGIT,
    NOT_CUT,
    PROBABILITY,
    channel_values,
    largest_channel,
    require_foreground,
    undefined_logits,
)
from segeval.samples.labels import NOTHING
from segeval.samples.pairs import CountedOverlaps, Key, Pair
from segeval.samples.panoptic import PanopticMap, Segments, make_segments
from segeval.scoring.batches import Image, panoptic_parts
from segeval.scoring.device.crc import crc_of_rows

# Copies of a table among which neighbouring pixels are spread: they mostly hold the same pair, and adding to one
# place from many threads is serial.
COPIES = 32
LARGEST_TABLE = 2**22
_NEVER = 2**62


class Fetched:
    """Tensors on their way to the host."""

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        self._host: list[Tensor] = []
        self._event: Any = None
        for tensor in tensors:
            if tensor.is_cuda:
                host = torch.empty(tensor.shape, dtype=tensor.dtype, device="cpu", pin_memory=True)
                self._host.append(host.copy_(tensor, non_blocking=True))
            else:
                self._host.append(tensor)
        if any(t.is_cuda for t in tensors):
            self._event = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._event.record(torch.cuda.current_stream(tensors[0].device))

    def ready(self) -> bool:
        """Whether they have arrived."""
        return self._event is None or bool(self._event.query())

    def arrays(self) -> list[NDArray[Any]]:
        """The arrays; waits for them."""
        if self._event is not None:
            self._event.synchronize()
        return [host.numpy() for host in self._host]


@dataclass
class SemanticCounts:
    """A counted batch of label maps, see `segeval.scoring.batches.Waiting`."""

    fetched: Fetched
    shape: tuple[int, int]
    known: tuple[NDArray[np.int64], NDArray[np.int64]]
    rule: Any

    def ready(self) -> bool:
        """Whether the counts have arrived."""
        return self.fetched.ready()

    def pairs(self, keys: Sequence[Key]) -> list[Pair]:
        """The counted images under their keys; waits for them."""
        tables, strange, largest, undefined, cuts, *crcs = self.fetched.arrays()
        pairs = []
        for i, key in enumerate(keys):
            if undefined[i]:
                raise undefined_logits(int(undefined[i]), key)
            if cuts[i]:
                require_foreground(self.rule, key)
            names = [np.append(known, strange[side, i]) for side, known in enumerate(self.known)]
            width = 0 if largest[i] < 256 else 1 if largest[i] < 65536 else 2
            crc = int(crcs[min(width, len(crcs) - 1)][i])
            counted = _counted(self.shape, crc, tables[i], *names)
            pairs.append(Pair(key, counted._replace(cut=int(cuts[i])), None))
        return pairs


def _counted(shape: tuple[int, int], crc: int, table: NDArray[Any], truth: Any, prediction: Any) -> CountedOverlaps:
    """The entries of a table that are not zero, sorted by the names of rows and columns."""
    rows, columns = np.nonzero(table)
    pixels = table[rows, columns].astype(np.int64)
    rows, columns = truth[rows], prediction[columns]
    order = np.lexsort((columns, rows))
    return CountedOverlaps(shape, crc, rows[order], columns[order], pixels[order])


def count_semantic(rule: Any, prediction: Tensor, truth: Tensor) -> tuple[int, SemanticCounts] | None:
    """Count label maps (N, H, W) or (H, W), or logits with one axis more, on the device that holds them.

    Returns
    -------
    count, counts
        The number of images, and the counts to come; None where the host has to look at the pixels: classes that are
        still to be found, `diagnose`, predictions to be resized, labels of many classes.

    Raises
    ------
    SegevalError
        For sizes that differ, truth that is no integers, and logits of another number of channels than classes.
    """
    if truth.dtype.is_floating_point or truth.ndim not in (2, 3) or rule.taxonomy is None:
        return None
    if getattr(rule, "threshold", None) is not None:
        return None
    if getattr(rule, "diagnose", False) or min((*rule.void_values, *(raw for raw, _ in rule.map_truth), 0)) < 0:
        return None
    channels = prediction.dtype.is_floating_point and prediction.ndim == truth.ndim + 1
    size = prediction.shape[:-3] + prediction.shape[-2:] if channels else prediction.shape
    if size != truth.shape or (prediction.dtype.is_floating_point and not channels):
        return None  # the host says what is wrong, or resizes
    values = channel_values(rule, prediction.shape[-3]) if channels and prediction.shape[-3] > 1 else None
    known = tuple(known_labels(rule, side) for side in ("truth", "prediction"))
    images = 1 if truth.ndim == 2 else len(truth)
    if images * (len(known[0]) + 1) * (len(known[1]) + 1) > LARGEST_TABLE or not truth.numel():
        return None
    cuts = truth.new_zeros(images)
    nowhere: Tensor | None
    if channels and prediction.shape[-3] == 1:
        labels, nowhere, cuts = _one_channel(prediction.reshape(images, *prediction.shape[-2:]))
    else:
        labels, nowhere = largest_channel(prediction, -3) if channels else (prediction, None)
    if values is not None and values != list(range(len(values))):
        labels = _names(tuple(values), labels.device)[labels]
    height, width = truth.shape[-2:]
    flat = [side.reshape(images, -1).long() for side in (truth, labels)]
    places, strange = zip(*(_places(side, names) for side, names in zip(flat, known, strict=True)), strict=True)
    tables = _tables(places[0], places[1], len(known[0]) + 1, len(known[1]) + 1)
    kinds: list[Any] = [torch.uint8, torch.int16, torch.int32][: 1 if known[0].max() < 256 else 3]
    crcs = [crc_of_rows(_bytes(flat[0], kind)) for kind in kinds]
    undefined = flat[0].new_zeros(images) if nowhere is None else nowhere.reshape(images, -1).sum(1)
    fetched = Fetched([tables, torch.stack(strange), flat[0].amax(1), undefined, cuts, *crcs])
    return images, SemanticCounts(fetched, (height, width), (known[0], known[1]), rule)


def _one_channel(plane: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Labels (N, H, W), where they are undefined, and how each image was cut, as `channels.labels_of` has it."""
    low, high = plane.amin((-2, -1)), plane.amax((-2, -1))
    whole = (low >= 0) & (plane == plane.floor()).all(-1).all(-1)
    probable = (low >= 0) & (high <= 1)
    cuts = torch.where(whole, NOT_CUT, torch.where(probable, PROBABILITY, LOGIT))
    above = plane > torch.where(probable, 0.5, 0.0).to(plane.dtype)[:, None, None]
    return torch.where(whole[:, None, None], plane, above.to(plane.dtype)).long(), plane != plane, cuts


def _bytes(labels: Tensor, kind: Any) -> Tensor:
    """Little-endian bytes (N, bytes) of labels (N, pixels); a wider label loses its upper bits."""
    return labels.to(kind).contiguous().view(torch.uint8).reshape(len(labels), -1)


@functools.lru_cache(maxsize=64)
def known_labels(rule: Any, side: str) -> NDArray[np.int64]:
    """Every raw label that is no error, ascending: all others are refused, so one place holds them."""
    base = {0, 1, 255, *rule.taxonomy.ids, *rule.void_values}
    table = rule.map_truth if side == "truth" else rule.map_prediction
    known = base | {label + 1 for label in base} | {raw for raw, _ in table}
    return np.array(sorted(label for label in known if 0 <= label < NOTHING), np.int64)


def sent(array: NDArray[Any], device: torch.device) -> Tensor:
    """An array on a device, without waiting for what the device has still to do: that takes pinned memory."""
    host = torch.from_numpy(array)
    return host.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else host.to(device)


@functools.lru_cache(maxsize=64)
def _names(values: tuple[int, ...], device: Any) -> Tensor:
    """Labels by place, on a device."""
    return sent(np.array(values, np.int64), device)


@functools.lru_cache(maxsize=64)
def _lookup(names: tuple[int, ...], device: Any) -> Tensor:
    """Places of labels, one entry for each label up to the largest known, and one more for all beyond."""
    table = np.full(names[-1] + 2, len(names), np.int32)
    table[np.array(names)] = np.arange(len(names))
    return sent(table, device)


def _places(labels: Tensor, names: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
    """Places (N, pixels) of labels among known ones, their number for others; and the smallest of the others (N)."""
    end = int(names[-1]) + 1
    if end <= 2**20:
        inside = labels.masked_fill((labels < 0) | (labels > end), end)
        places = _lookup(tuple(names.tolist()), labels.device)[inside]
    else:
        places = _found(labels, _names(tuple(names.tolist()), labels.device))
    others = labels.masked_fill(places != len(names), _NEVER)
    return places.long(), others.amin(1)


def _found(labels: Tensor, ascending: Tensor) -> Tensor:
    """Positions of labels among ascending ones, their number for others."""
    if not len(ascending):
        return torch.zeros_like(labels)
    at = torch.searchsorted(ascending, labels).clamp_(max=len(ascending) - 1)
    return at.masked_fill(ascending[at] != labels, len(ascending))


def _tables(truth: Tensor, prediction: Tensor, rows: int, columns: int) -> Tensor:
    """Pixels (N, rows, columns) of each pair of places (N, pixels)."""
    images, pixels = truth.shape
    cells = images * rows * columns
    copies = max(1, min(COPIES, LARGEST_TABLE // cells))
    image = torch.arange(images, device=truth.device)[:, None]
    copy = torch.arange(pixels, device=truth.device) % copies
    place = ((image * rows + truth) * columns + prediction) * copies + copy
    one = torch.ones((), dtype=torch.int32, device=truth.device).expand(place.numel())
    table = torch.zeros(cells * copies, dtype=torch.int32, device=truth.device)
    table.scatter_add_(0, place.view(-1), one)
    return table.view(images, rows, columns, copies).sum(-1)


@dataclass
class PanopticCounts:
    """A counted batch of panoptic maps, see `segeval.scoring.batches.Waiting`."""

    fetched: Fetched
    shapes: list[tuple[int, int]]
    segments: list[list[Segments]]

    def ready(self) -> bool:
        """Whether the counts have arrived."""
        return self.fetched.ready()

    def pairs(self, keys: Sequence[Key]) -> list[Pair]:
        """The counted images under their keys; waits for them."""
        arrays = self.fetched.arrays()
        pairs = []
        for i, key in enumerate(keys):
            table, strange, crc = arrays[3 * i : 3 * i + 3]
            sides = self.segments[i]
            names = [np.concatenate([[0], s.ids, [strange[k]]]) for k, s in enumerate(sides)]
            counted: Any = _counted(self.shapes[i], int(crc[0]), table[0], names[0], names[1])
            truth, prediction = (PanopticMap(counted, s) for s in sides)
            pairs.append(Pair(key, truth, prediction))
        return pairs


def _kept(segments: Segments, void: tuple[int, ...]) -> Segments:
    keep = ~np.isin(segments.ids, void)
    if keep.all():
        return segments
    return Segments(
        segments.ids[keep],
        segments.classes[keep],
        segments.crowd[keep],
        segments.areas[keep],
        segments.last_crowd[keep],
    )


def count_panoptic(rule: Any, images: Sequence[Image]) -> tuple[int, PanopticCounts] | None:
    """Count pairs of panoptic maps on the device that holds them; None where the host says what is wrong.

    Parameters
    ----------
    rule
        A `PanopticQuality`.
    images
        Pairs (prediction, truth) of (ids, segments).
    """
    found: list[Tensor] = []
    shapes: list[tuple[int, int]] = []
    segments: list[list[Segments]] = []
    for prediction, truth in images:
        parts = [panoptic_parts(side, what, 0) for side, what in ((truth, "truth"), (prediction, "prediction"))]
        if any(ids.dtype.is_floating_point or _plane(ids) is None for ids, _ in parts):
            return None
        if _plane(parts[0][0]) != _plane(parts[1][0]) or not parts[0][0].numel():
            return None
        try:
            listed = [_kept(make_segments(entries, None, 0), rule.void_values) for _, entries in parts]
        except SegevalError:
            return None
        found += _one_panoptic([_ids(ids, rule.void_values) for ids, _ in parts], [side.ids for side in listed])
        height, width = parts[0][0].shape[:2]
        shapes.append((height, width))
        segments.append(listed)
    return len(images), PanopticCounts(Fetched(found), shapes, segments)


def _plane(ids: Tensor) -> tuple[int, int] | None:
    """Height and width of ids or colours; None for what is neither."""
    colours = ids.ndim == 3 and ids.dtype == torch.uint8 and ids.shape[2] in (3, 4)
    return (ids.shape[0], ids.shape[1]) if ids.ndim == 2 or colours else None


def _ids(pixels: Tensor, void: tuple[int, ...]) -> Tensor:
    """Segment ids (1, pixels), 0 where void."""
    if pixels.ndim == 3:
        wide = pixels.long()
        pixels = wide[..., 0] | wide[..., 1] << 8 | wide[..., 2] << 16
    ids = pixels.reshape(1, -1).long()
    for value in void:
        if value:
            ids = ids.masked_fill(ids == value, 0)
    return ids


def _one_panoptic(sides: list[Tensor], listed: list[NDArray[np.int64]]) -> list[Tensor]:
    """Table (1, 2 + segments, 2 + segments), the smallest unlisted id of each side, and the truth's checksum."""
    places, strange = [], []
    for ids, known in zip(sides, listed, strict=True):
        names = np.concatenate([[0], known])
        places.append(_found(ids, sent(names, ids.device)))
        strange.append(ids.masked_fill(places[-1] != len(names), _NEVER).amin())
    table = _tables(places[0], places[1], len(listed[0]) + 2, len(listed[1]) + 2)
    # The bytes of the colours: ids beyond three bytes can't be listed, and are refused.
    colours = _bytes(sides[0], torch.int32).view(1, -1, 4)[..., :3].reshape(1, -1)
    return [table, torch.stack(strange), crc_of_rows(colours)]
