"""Boxes: area, overlap, clipping, the coding that networks regress, and the boxes of masks."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from segeval.errors import SegevalError
from segeval_baselines.layers.blocks import Size

Weights = tuple[float, float, float, float]

# exp of a side's logarithm is kept below 1000 / 16: a side grows at most 62.5 times.
MAX_LOG_RATIO = math.log(1000.0 / 16)


def check_boxes(boxes: Tensor, name: str = "boxes") -> None:
    """Refuse what is not (N, 4).

    Raises
    ------
    SegevalError
        With the shape that was given.
    """
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise SegevalError(f"{name} are {tuple(boxes.shape)}", remedy="give (N, 4): x1, y1, x2, y2")


def box_area(boxes: Tensor) -> Tensor:
    """Areas (N,) of boxes (N, 4), in square pixels: (x2 - x1) (y2 - y1)."""
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def box_iou(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union of each box of `a` with each of `b`.

    Parameters
    ----------
    a, b
        (N, 4) and (M, 4).

    Returns
    -------
    Tensor
        (N, M) in [0, 1]; NaN for two boxes without area at one place, which have no union.

    Raises
    ------
    SegevalError
        If one is not (N, 4).
    """
    check_boxes(a, "the first boxes")
    check_boxes(b, "the second boxes")
    # An axis at a time: the intermediate arrays are the cost.
    width = torch.minimum(a[:, 2, None], b[:, 2]) - torch.maximum(a[:, 0, None], b[:, 0])
    height = torch.minimum(a[:, 3, None], b[:, 3]) - torch.maximum(a[:, 1, None], b[:, 1])
    inter = width.clamp_(min=0) * height.clamp_(min=0)
    return inter / (box_area(a)[:, None] + box_area(b) - inter)


def clip_boxes(boxes: Tensor, size: Size) -> Tensor:
    """Boxes (..., 4) cut at the borders of an image of a size (height, width)."""
    height, width = size
    limits = boxes.new_tensor([width, height, width, height])
    return torch.minimum(boxes.clamp(min=0), limits)


def _centred(boxes: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Centre x, centre y, width and height of boxes, each (N,)."""
    width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    return boxes[:, 0] + 0.5 * width, boxes[:, 1] + 0.5 * height, width, height


def encode_boxes(reference: Tensor, target: Tensor, weights: Weights = (1.0, 1.0, 1.0, 1.0)) -> Tensor:
    r"""What a network must answer at `reference` to mean `target` (Girshick et al. 2014, appendix C).

    .. math:: (w_x (x - x_a) / w_a,\; w_y (y - y_a) / h_a,\; w_w \log(w / w_a),\; w_h \log(h / h_a))

    with centres x, y and sides w, h of the target, and those with index a of the reference.

    Parameters
    ----------
    reference, target
        (R, 4), with sides above 0.
    weights
        Factors of the four numbers; Mask R-CNN's box head takes (10, 10, 5, 5).

    Returns
    -------
    Tensor
        (R, 4).
    """
    check_boxes(reference, "the reference boxes")
    check_boxes(target, "the target boxes")
    x_a, y_a, w_a, h_a = _centred(reference)
    x, y, w, h = _centred(target)
    return torch.stack(
        (
            weights[0] * (x - x_a) / w_a,
            weights[1] * (y - y_a) / h_a,
            weights[2] * torch.log(w / w_a),
            weights[3] * torch.log(h / h_a),
        ),
        dim=1,
    )


def decode_boxes(deltas: Tensor, reference: Tensor, weights: Weights = (1.0, 1.0, 1.0, 1.0)) -> Tensor:
    """The inverse of :func:`encode_boxes`; logarithms of sides are cut at log(1000 / 16).

    Parameters
    ----------
    deltas
        (R, 4), or (R, 4K) for K classes.
    reference
        (R, 4).
    weights
        As they were encoded with.

    Returns
    -------
    Tensor
        (R, 4) for (R, 4), and (R, K, 4) for (R, 4K) with K > 1.

    Raises
    ------
    SegevalError
        If the shapes don't fit.
    """
    check_boxes(reference, "the reference boxes")
    if deltas.ndim != 2 or deltas.shape[1] % 4 or len(deltas) != len(reference):
        raise SegevalError(f"deltas are {tuple(deltas.shape)}", remedy=f"give ({len(reference)}, 4K)")
    x_a, y_a, w_a, h_a = (v[:, None] for v in _centred(reference))
    by_class = deltas.reshape(len(deltas), deltas.shape[1] // 4, 4)
    dx, dy, dw, dh = (part / weight for part, weight in zip(by_class.unbind(-1), weights, strict=True))
    half_w = 0.5 * torch.exp(dw.clamp(max=MAX_LOG_RATIO)) * w_a
    half_h = 0.5 * torch.exp(dh.clamp(max=MAX_LOG_RATIO)) * h_a
    x, y = dx * w_a + x_a, dy * h_a + y_a
    boxes = torch.stack((x - half_w, y - half_h, x + half_w, y + half_h), dim=-1)
    return boxes[:, 0] if deltas.shape[1] == 4 else boxes


def mask_boxes(masks: Tensor) -> Tensor:
    """The tightest boxes (N, 4) of masks (N, H, W), float32; all 0 for an empty mask."""
    if masks.ndim != 3:
        raise SegevalError(f"masks are {tuple(masks.shape)}", remedy="give (N, H, W)")
    sides = []
    for axis in (1, 2):
        length = masks.shape[3 - axis]
        hit = (masks != 0).any(dim=axis)
        place = torch.arange(length, device=masks.device)
        first = torch.where(hit, place, length).amin(dim=1) if length else hit.new_zeros(len(masks))
        last = torch.where(hit, place, -1).amax(dim=1) if length else hit.new_zeros(len(masks))
        sides.append((first.clamp(max=length), last + 1))
    boxes = torch.stack((sides[0][0], sides[1][0], sides[0][1], sides[1][1]), dim=1).float()
    return torch.where(boxes[:, 2:3] > 0, boxes, 0.0)
