"""RoIPool (Girshick 2015): the maximum of whole pixels, kept for comparison with RoIAlign."""

from __future__ import annotations

import torch
from torch import Tensor

from segeval.errors import SegevalError
from segeval_baselines.layers.blocks import Size, size_of
from segeval_baselines.ops.boxes import check_boxes

# Numbers that one part of the boxes may gather.
_GATHERED = 2**24


def roi_pool(x: Tensor, boxes: Tensor, images: Tensor, size: Size, scale: float) -> Tensor:
    """Maximum over each bin of each box, whose edges are first rounded to whole pixels of the map.

    Edges round half away from zero and count inclusively; a bin reaches from the floor of its first edge to the ceiling
    of its last. A bin outside the map gives 0.

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

    Returns
    -------
    Tensor
        (K, C, h, w).

    Raises
    ------
    SegevalError
        If the shapes don't fit.
    """
    check_boxes(boxes)
    if x.ndim != 4 or images.shape != boxes.shape[:1]:
        shapes = f"the map is {tuple(x.shape)} and images are {tuple(images.shape)}"
        raise SegevalError(shapes, remedy=f"give (N, C, H, W) and ({len(boxes)},)")
    channels, (height, width) = x.shape[1], size_of(x)
    if len(boxes) == 0:
        return x[:0, :, :1, :1].expand(0, channels, *size)
    edges = boxes.to(x.dtype) * scale
    # torch.round goes to the even number at halves.
    edges = torch.sign(edges) * torch.floor(edges.abs() + 0.5)
    rows = _windows(edges[:, 1], edges[:, 3], size[0], height)
    columns = _windows(edges[:, 0], edges[:, 2], size[1], width)
    each = max(1, _GATHERED // (channels * size[0] * max(rows[0].shape[2] * width, columns[0].shape[2] * size[1])))
    parts = []
    for chosen in torch.split(torch.arange(len(boxes), device=boxes.device), each):
        lines = x[
            images[chosen, None, None, None], :, rows[0][chosen, :, :, None], torch.arange(width, device=x.device)
        ]
        down = _max(lines, rows[1][chosen, :, :, None, None])
        place = columns[0][chosen].flatten(1)[:, None, :, None].expand(-1, size[0], -1, channels)
        across = down.gather(2, place).view(*down.shape[:2], *columns[0].shape[1:], channels)
        best = across.masked_fill(~columns[1][chosen, None, :, :, None], -torch.inf).max(dim=3).values
        parts.append(best.masked_fill(best == -torch.inf, 0.0).permute(0, 3, 1, 2))
    return torch.cat(parts)


def _windows(first: Tensor, last: Tensor, bins: int, length: int) -> tuple[Tensor, Tensor]:
    """Pixels of each bin along one axis and which of them are meant, each (K, bins, M)."""
    step = ((last - first + 1).clamp(min=1) / bins)[:, None]
    bin_ = torch.arange(bins, dtype=first.dtype, device=first.device)
    start = (torch.floor(bin_ * step) + first[:, None]).clamp(0, length).long()
    stop = (torch.ceil((bin_ + 1) * step) + first[:, None]).clamp(0, length).long()
    most = max(1, int((stop - start).amax()))
    place = start[:, :, None] + torch.arange(most, device=first.device)
    return place.clamp(max=length - 1), place < stop[:, :, None]


def _max(values: Tensor, meant: Tensor) -> Tensor:
    """Maximum over axis 2 of what is meant; minus infinity where nothing is."""
    return values.masked_fill(~meant, -torch.inf).max(dim=2).values
