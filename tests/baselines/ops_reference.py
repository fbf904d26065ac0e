"""The recorded answers of torchvision's C++ operators, and slow answers from the definitions."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

FIXTURE = Path(__file__).parent / "fixtures" / "ops_reference.npz"


@cache
def recorded() -> dict[str, Tensor]:
    """Arrays of ``make_ops_reference.py`` by name."""
    with np.load(FIXTURE, allow_pickle=False) as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays if name != "versions"}


def greedy_nms(boxes: Tensor, scores: Tensor, groups: Tensor, threshold: float) -> list[int]:
    """Box by box, as the definition reads."""
    order = sorted(range(len(boxes)), key=lambda k: (-float(scores[k]), k))
    kept: list[int] = []
    for k in order:
        if all(groups[j] != groups[k] or not _iou(boxes[j], boxes[k]) > threshold for j in kept):
            kept.append(k)
    return kept


def _iou(a: Tensor, b: Tensor) -> float:
    width = max(0.0, float(min(a[2], b[2]) - max(a[0], b[0])))
    height = max(0.0, float(min(a[3], b[3]) - max(a[1], b[1])))
    area = [float((v[2] - v[0]) * (v[3] - v[1])) for v in (a, b)]
    union = area[0] + area[1] - width * height
    return width * height / union if union else math.nan


def slow_roi_align(
    x: Tensor, boxes: Tensor, images: Tensor, size: tuple[int, int], scale: float, sampling: int, aligned: bool
) -> Tensor:
    """Point by point, as the definition reads."""
    out = x.new_zeros((len(boxes), x.shape[1], *size))
    for k, box in enumerate(boxes.tolist()):
        x1, y1, x2, y2 = (v * scale - (0.5 if aligned else 0.0) for v in box)
        width, height = x2 - x1, y2 - y1
        if not aligned:
            width, height = max(width, 1.0), max(height, 1.0)
        bin_h, bin_w = height / size[0], width / size[1]
        rows = sampling or math.ceil(bin_h)
        columns = sampling or math.ceil(bin_w)
        for i in range(size[0]):
            for j in range(size[1]):
                for r in range(rows):
                    for c in range(columns):
                        y = y1 + (i + (r + 0.5) / rows) * bin_h
                        across = x1 + (j + (c + 0.5) / columns) * bin_w
                        out[k, :, i, j] += _interpolate(x[images[k]], y, across) / (rows * columns)
    return out


def _interpolate(x: Tensor, y: float, across: float) -> Tensor:
    height, width = x.shape[1:]
    if not (-1 <= y <= height and -1 <= across <= width):
        return torch.zeros(len(x), dtype=x.dtype)
    y, across = min(max(y, 0.0), height - 1), min(max(across, 0.0), width - 1)
    top, left = min(int(y), max(height - 2, 0)), min(int(across), max(width - 2, 0))
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    down, right_share = y - top, across - left
    upper = x[:, top, left] * (1 - right_share) + x[:, top, right] * right_share
    lower = x[:, bottom, left] * (1 - right_share) + x[:, bottom, right] * right_share
    return upper * (1 - down) + lower * down
