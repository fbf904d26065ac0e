"""Anchors: the reference boxes of a region proposal network (Ren et al. 2015, section 3.1.1)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from segeval.errors import SegevalError
from segeval_baselines.layers.blocks import Size


def cell_anchors(sizes: Sequence[float], ratios: Sequence[float]) -> Tensor:
    """Boxes around the origin, one for each ratio and size.

    A box of size s and ratio r (height by width) is s / sqrt(r) wide and s sqrt(r) high; its edges are rounded to whole
    pixels, halves to the even one, as the published Mask R-CNN weights were trained with.

    Parameters
    ----------
    sizes
        Square roots of areas, in pixels.
    ratios
        Heights by widths.

    Returns
    -------
    Tensor
        (A, 4) float32; the size runs fastest.
    """
    root = torch.sqrt(torch.tensor(ratios, dtype=torch.float32))
    size = torch.tensor(sizes, dtype=torch.float32)
    width = ((1 / root)[:, None] * size).flatten()
    height = (root[:, None] * size).flatten()
    return (torch.stack((-width, -height, width, height), dim=1) / 2).round()


def grid_anchors(map_sizes: Sequence[Size], strides: Sequence[float | Size], cells: Sequence[Tensor]) -> list[Tensor]:
    """The anchors of each place of each level: a level's cell anchors moved to (column, row) times its stride.

    Parameters
    ----------
    map_sizes
        Height and width of each level's map.
    strides
        Pixels of the image a step of the map: one number, or (down, across).
    cells
        (A, 4) of each level; their device and dtype are the answer's.

    Returns
    -------
    list of Tensor
        One (h * w * A, 4) a level: rows, then columns, then cell anchors.

    Raises
    ------
    SegevalError
        If the three don't have one length.
    """
    if not len(map_sizes) == len(strides) == len(cells):
        counts = f"{len(map_sizes)} maps, {len(strides)} strides and {len(cells)} sets of anchors"
        raise SegevalError(counts, remedy="give one of each a level")
    levels = []
    for (height, width), stride, cell in zip(map_sizes, strides, cells, strict=True):
        down, across = stride if isinstance(stride, tuple) else (stride, stride)
        y = torch.arange(height, dtype=cell.dtype, device=cell.device) * down
        x = torch.arange(width, dtype=cell.dtype, device=cell.device) * across
        y, x = torch.meshgrid(y, x, indexing="ij")
        corner = torch.stack((x, y, x, y), dim=-1).view(-1, 1, 4)
        levels.append((corner + cell).view(-1, 4))
    return levels
