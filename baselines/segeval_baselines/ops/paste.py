"""Masks of a fixed size, put back to their boxes in the image."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from segeval.errors import SegevalError
from segeval_baselines.layers.blocks import Size
from segeval_baselines.ops.boxes import check_boxes


def paste_masks(probabilities: Tensor, boxes: Tensor, size: Size, threshold: float = 0.5) -> Tensor:
    """Stretch each mask over its box and cut at a threshold.

    As torchvision pastes: the mask gets one pixel of zeros around it and the box grows in proportion; its edges are cut
    to whole pixels towards zero and count inclusively; values between are bilinear (half-pixel centres).

    Parameters
    ----------
    probabilities
        (N, m, m), in [0, 1].
    boxes
        (N, 4), within the image: the work grows with a box's area, also outside.
    size
        Height and width of the image.
    threshold
        A pixel is in the mask if its value is above it.

    Returns
    -------
    Tensor
        (N, height, width) of bool.

    Raises
    ------
    SegevalError
        If the shapes don't fit.
    """
    check_boxes(boxes)
    if probabilities.ndim != 3 or len(probabilities) != len(boxes):
        raise SegevalError(f"masks are {tuple(probabilities.shape)}", remedy=f"give ({len(boxes)}, m, m)")
    height, width = size
    out = torch.zeros((len(boxes), height, width), dtype=torch.bool, device=boxes.device)
    padded = F.pad(probabilities.float(), (1, 1, 1, 1))
    grown = _grow(boxes, padded.shape[-1] / probabilities.shape[-1]) if len(boxes) else boxes
    # One transfer for all boxes: slices are made on the host.
    for mask, found, (x1, y1, x2, y2) in zip(padded, out, grown.long().tolist(), strict=True):
        x_from, y_from, x_to, y_to = max(x1, 0), max(y1, 0), min(x2 + 1, width), min(y2 + 1, height)
        if x_from >= x_to or y_from >= y_to:
            continue
        stretched = F.interpolate(
            mask[None, None], (max(y2 - y1 + 1, 1), max(x2 - x1 + 1, 1)), mode="bilinear", align_corners=False
        )[0, 0]
        found[y_from:y_to, x_from:x_to] = stretched[y_from - y1 : y_to - y1, x_from - x1 : x_to - x1] > threshold
    return out


def _grow(boxes: Tensor, factor: float) -> Tensor:
    """Boxes scaled about their centres."""
    half_w, half_h = (boxes[:, 2] - boxes[:, 0]) * 0.5 * factor, (boxes[:, 3] - boxes[:, 1]) * 0.5 * factor
    x, y = (boxes[:, 2] + boxes[:, 0]) * 0.5, (boxes[:, 3] + boxes[:, 1]) * 0.5
    return torch.stack((x - half_w, y - half_h, x + half_w, y + half_h), dim=1)
