"""RoIAlign (He et al. 2017): features of a box, read at exact coordinates, forward and backward.

Sample points of a bin lie on a grid, and so do the four pixels around each: an output is a weighted sum of pixels whose
places and weights are an outer product of one list along y and one along x. All sums of all boxes, over all images and
levels, are then one `embedding_bag` over the table of pixels (channels last), which torch does forward and backward on
CPU and GPU.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from segeval.errors import SegevalError
from segeval_baselines.layers.blocks import Size, size_of
from segeval_baselines.ops.boxes import box_area, check_boxes

# Places of pixels that one call holds; more boxes are done in several.
_PLACES = 2**22


class _Axis(NamedTuple):
    """The boxes along one axis, in pixels of their maps; each (K,).

    Attributes
    ----------
    start, step
        First edge, and size of a bin.
    counts
        Sample points a bin.
    length
        Pixels of the map.
    """

    start: Tensor
    step: Tensor
    counts: Tensor
    length: Tensor


def roi_align(
    x: Tensor,
    boxes: Tensor,
    images: Tensor,
    size: Size,
    scale: float,
    sampling: int = 0,
    aligned: bool = False,
) -> Tensor:
    """Mean over sample points of each bin of each box; every point is interpolated bilinearly.

    A box is divided into h x w bins, a bin into sampling x sampling cells with a point at the centre of each. A point
    beyond -1 or the map's length on either axis counts 0; between, coordinates are clamped to the map. Gradients reach
    the map, not the boxes.

    Parameters
    ----------
    x
        (N, C, H, W) features.
    boxes
        (K, 4), in pixels of the image.
    images
        (K,) of int64: which of the N each box lies in.
    size
        Bins (h, w).
    scale
        Pixels of the map a pixel of the image.
    sampling
        Points a bin and axis; 0 takes as many as a bin has pixels, rounded up.
    aligned
        Move the box by half a pixel, so that pixel centres are at halves, and let boxes be smaller than a pixel
        (Detectron2). Without, pixel centres are whole numbers and sides are at least 1 (torchvision's Mask R-CNN).

    Returns
    -------
    Tensor
        (K, C, h, w), of the type of x; half precision is computed in float32.

    Raises
    ------
    SegevalError
        If the shapes don't fit.
    """
    zero = torch.zeros(len(boxes), dtype=torch.int64, device=boxes.device)
    return _align([x], boxes, images, zero, size, (scale,), sampling, aligned)


def pyramid_roi_align(
    maps: Sequence[Tensor],
    boxes: Tensor,
    images: Tensor,
    size: Size,
    scales: Sequence[float],
    sampling: int = 2,
    aligned: bool = False,
    canonical_size: float = 224,
    canonical_level: int = 4,
) -> Tensor:
    """:func:`roi_align` on a feature pyramid: large boxes read coarse maps (Lin et al. 2017, equation 1).

    A box reads level floor(canonical_level + log2(sqrt(area) / canonical_size) + 1e-6), clamped to the levels given;
    the level of a map is -log2 of its scale.

    Parameters
    ----------
    maps
        (N, C, H_l, W_l) of each level, finest first, each half the scale of the one before.
    boxes, images, size, sampling, aligned
        As for :func:`roi_align`.
    scales
        Pixels of each map a pixel of the image.
    canonical_size, canonical_level
        Boxes of this size (square root of the area, pixels) read this level.

    Returns
    -------
    Tensor
        (K, C, h, w).

    Raises
    ------
    SegevalError
        If the shapes don't fit.
    """
    if not maps or len(maps) != len(scales):
        raise SegevalError(f"{len(maps)} maps and {len(scales)} scales", remedy="give one scale a map")
    check_boxes(boxes)
    finest = round(-math.log2(scales[0]))
    side = torch.sqrt(box_area(boxes))
    level = torch.floor(canonical_level + torch.log2(side / canonical_size) + 1e-6) - finest
    level = level.nan_to_num().clamp(0, len(maps) - 1).long()
    return _align(maps, boxes, images, level, size, scales, sampling, aligned)


def _align(
    maps: Sequence[Tensor],
    boxes: Tensor,
    images: Tensor,
    level: Tensor,
    size: Size,
    scales: Sequence[float],
    sampling: int,
    aligned: bool,
) -> Tensor:
    check_boxes(boxes)
    if any(m.ndim != 4 or m.shape[:2] != maps[0].shape[:2] for m in maps):
        raise SegevalError(f"maps are {[tuple(m.shape) for m in maps]}", remedy="give (N, C, H, W)")
    if images.shape != boxes.shape[:1]:
        raise SegevalError(f"images are {tuple(images.shape)}", remedy=f"give one for each of {len(boxes)} boxes")
    table = torch.cat([m.permute(0, 2, 3, 1).reshape(-1, m.shape[1]) for m in maps])
    table = table if table.dtype == torch.float64 else table.float()
    with torch.no_grad():
        sides = [size_of(m) for m in maps]
        heights, widths = (torch.tensor(s, device=boxes.device)[level] for s in zip(*sides, strict=True))
        starts = torch.tensor([0] + [m[:, 0].numel() for m in maps[:-1]], device=boxes.device).cumsum(0)
        base = starts[level] + images * (heights * widths)
        scaled = boxes.to(table.dtype) * torch.tensor(scales, dtype=table.dtype, device=boxes.device)[level, None]
        scaled = scaled - (0.5 if aligned else 0.0)
        x_axis, y_axis = (
            _axis(scaled[:, k], scaled[:, k + 2], bins, length, sampling, aligned)
            for k, bins, length in ((0, size[1], widths), (1, size[0], heights))
        )
    out = _bags(table, base, widths, y_axis, x_axis, size, sampling)
    return out.to(maps[0].dtype)


def _axis(start: Tensor, end: Tensor, bins: int, length: Tensor, sampling: int, aligned: bool) -> _Axis:
    extent = end - start if aligned else (end - start).clamp(min=1.0)
    step = extent / bins
    counts = torch.full_like(step, float(sampling)) if sampling > 0 else torch.ceil(step).clamp(min=0)
    return _Axis(start, step, counts, length)


def _bags(
    table: Tensor, base: Tensor, widths: Tensor, y_axis: _Axis, x_axis: _Axis, size: Size, sampling: int
) -> Tensor:
    """The weighted sums (K, C, h, w), in as many parts as the number of places needs."""
    channels, bins = table.shape[1], size[0] * size[1]
    if len(base) == 0:
        # Still a function of the maps, so that a loss without boxes has gradients (of 0).
        return table[:0].view(0, channels, 1, 1).expand(0, channels, *size)
    parts = []
    order, cuts = _parts(y_axis.counts, x_axis.counts, bins, sampling)
    for chosen, (rows, columns) in zip(
        torch.split(order, [c for c, _ in cuts]), (points for _, points in cuts), strict=True
    ):
        y, y_weight = _taps(_Axis(*(v[chosen] for v in y_axis)), size[0], rows)
        x, x_weight = _taps(_Axis(*(v[chosen] for v in x_axis)), size[1], columns)
        line = base[chosen, None, None] + y * widths[chosen, None, None]
        places = (line[:, :, None, :, None] + x[:, None, :, None, :]).flatten(3).view(-1, y.shape[2] * x.shape[2])
        weights = (y_weight[:, :, None, :, None] * x_weight[:, None, :, None, :]).flatten(3).view(places.shape)
        parts.append(F.embedding_bag(places, table, per_sample_weights=weights, mode="sum"))
    flat = torch.cat(parts).view(-1, *size, channels)
    if len(cuts) > 1 or sampling == 0:
        flat = flat[torch.argsort(order)]
    return flat.permute(0, 3, 1, 2)


def _parts(rows: Tensor, columns: Tensor, bins: int, sampling: int) -> tuple[Tensor, list[tuple[int, Size]]]:
    """An order of the boxes, and parts of it: how many boxes each, and the most points a bin (down, across)."""
    count = len(rows)
    if sampling > 0:
        each = max(1, _PLACES // (bins * 4 * sampling * sampling))
        cuts = [(min(each, count - first), (sampling, sampling)) for first in range(0, count, each)]
        return torch.arange(count, device=rows.device), cuts
    # Boxes of like size share a part, padded to its largest.
    order = torch.argsort(torch.maximum(rows, columns))
    points = torch.stack((rows, columns), dim=1)[order].clamp(min=1).long().tolist()
    cuts, first, largest = [], 0, (1, 1)
    for k, (down, across) in enumerate(points):
        grown = max(largest[0], down), max(largest[1], across)
        if k > first and (k + 1 - first) * bins * 4 * grown[0] * grown[1] > _PLACES:
            cuts.append((k - first, largest))
            first, grown = k, (down, across)
        largest = grown
    return order, [*cuts, (count - first, largest)]


def _taps(axis: _Axis, bins: int, points: int) -> tuple[Tensor, Tensor]:
    """Pixels of each bin along one axis and their weights, each (K, bins, 2 points)."""
    start, step, counts, length = (v[:, None, None] for v in axis)
    bin_ = torch.arange(bins, dtype=start.dtype, device=start.device)[:, None]
    point = torch.arange(points, dtype=start.dtype, device=start.device)
    at = start + bin_ * step + (point + 0.5) * step / counts
    valid = (at >= -1) & (at <= length) & (point < counts)
    at = torch.where(valid, at, 0.0).clamp(min=0)
    low = torch.minimum(at.long(), length - 1)
    high = torch.minimum(low + 1, length - 1)
    # Beyond the last pixel both neighbours are it, and its weight is 1.
    upper = torch.where(low < length - 1, at - low, 0.0)
    share = valid / counts.clamp(min=1)
    return torch.cat((low, high), dim=2), torch.cat((share * (1 - upper), share * upper), dim=2)
