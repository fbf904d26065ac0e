"""The two Hausdorff losses, by distance transforms and by erosion; both weigh squared errors by their depth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from segeval.errors import SegevalError
from segeval.losses.boundary.boundary import mean_over_pixels
from segeval.losses.encoding import Classes, Reduction, encode, full_precision
from segeval.losses.maps import inner_distance

Weight = Tensor | Sequence[float]


def _fields(masks: Tensor) -> Tensor:
    """Unsigned distance of every pixel to the boundary of each mask (N, C, *spatial), on both sides."""
    arrays = masks.detach().cpu().numpy()
    out = np.zeros(arrays.shape, np.float32)
    for index in np.ndindex(*arrays.shape[:2]):
        mask = arrays[index]
        out[index] = inner_distance(mask) + inner_distance(~mask)
    return torch.from_numpy(out).to(masks.device)


@full_precision
def hausdorff_distance(
    logits: Tensor,
    target: Tensor,
    *,
    alpha: float = 2.0,
    ignore_index: int | None = None,
    weight: Weight | None = None,
    classes: Classes = "present",
    reduction: Reduction = "mean",
    prediction_field: Tensor | None = None,
) -> Tensor:
    r"""Hausdorff loss by distance transforms, :math:`\frac1{|\Omega|} \sum_i (p - y)^2 (d_p^\alpha + d_y^\alpha)`.

    :math:`d_p, d_y` are distances to the contours of the prediction (p > 1/2) and the truth, on both sides of them;
    no gradient flows through them. They are computed in the forward pass on the CPU, one transform for each map: this
    is the slow one of the two Hausdorff losses. Add it to a region loss.

    Parameters
    ----------
    prediction_field
        :math:`d_p`, (N, C, *spatial), to hold it fixed instead of computing it.

    References
    ----------
    Karimi, Salcudean, "Reducing the Hausdorff distance in medical image segmentation with convolutional neural
    networks", TMI 2019.
    """
    encoded = encode(logits, target, ignore_index)
    p, y = encoded.probabilities(), encoded.truth()
    with torch.no_grad():
        d_p = _fields(p > 0.5) if prediction_field is None else prediction_field
        weights = (d_p.to(p.dtype) ** alpha) + (_fields(y > 0.5).to(p.dtype) ** alpha)
    return mean_over_pixels((p - y).square() * weights, encoded, classes, reduction, weight)


@full_precision
def hausdorff_erosion(
    logits: Tensor,
    target: Tensor,
    *,
    alpha: float = 2.0,
    erosions: int = 10,
    ignore_index: int | None = None,
    weight: Weight | None = None,
    classes: Classes = "present",
    reduction: Reduction = "mean",
) -> Tensor:
    r"""Hausdorff loss by erosion, :math:`\frac1{|\Omega|} \sum_{k=1}^{K} k^\alpha \sum_i \bigl((p-y)^2 \ominus_k
    B\bigr)_i`.

    One soft erosion averages over the cross B and maps [1/2, 1] linearly onto [0, 1], so that a solid error stays at 1
    until its border reaches the pixel. Errors one or two pixels thick cost nothing: add it to a region loss.

    References
    ----------
    Karimi, Salcudean, TMI 2019.
    """
    encoded = encode(logits, target, ignore_index)
    D = encoded.logits.dim() - 2
    if D not in (2, 3):
        raise SegevalError(f"erosion of {D} axes", remedy="give images (N, C, H, W) or volumes (N, C, D, H, W)")
    p, y = encoded.probabilities(), encoded.truth()
    kernel = _cross(D, p) / (2 * D + 1)
    convolve = F.conv2d if D == 2 else F.conv3d
    eroded = (p - y).square().flatten(0, 1).unsqueeze(1)
    total = torch.zeros_like(eroded)
    for k in range(1, erosions + 1):
        eroded = 2 * (convolve(eroded, kernel, padding=1) - 0.5).relu()
        total = total + eroded * k**alpha
    return mean_over_pixels(total.reshape_as(p), encoded, classes, reduction, weight)


def _cross(dimensions: int, like: Tensor) -> Tensor:
    """The cross of a pixel and its face neighbours, (1, 1, 3, 3) or (1, 1, 3, 3, 3)."""
    kernel = like.new_zeros([3] * dimensions)
    centre = [1] * dimensions
    kernel[tuple(centre)] = 1
    for axis in range(dimensions):
        for side in (0, 2):
            at = list(centre)
            at[axis] = side
            kernel[tuple(at)] = 1
    return kernel[None, None]
