"""Boundary-level losses that weigh or compare the pixels around contours."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from segeval.losses.encoding import (
    Classes,
    Encoded,
    Reduction,
    counted_classes,
    encode,
    full_precision,
    ratio,
    reduce_classes,
    reduce_pixels,
)
from segeval.losses.pixel import pixel_cross_entropy, pixel_map
from segeval.losses.region.overlap import overlap

Weight = Tensor | Sequence[float]


def mean_over_pixels(
    values: Tensor, encoded: Encoded, classes: Classes, reduction: Reduction, weight: Weight | None
) -> Tensor:
    """Mean of values (N, C, *spatial), 0 at ignored pixels, over the pixels of the batch, then over classes."""
    pixels = encoded.pixels().sum(0, keepdim=True)
    per_class = values.transpose(0, 1).flatten(1).sum(1).unsqueeze(0) / pixels.clamp_min(1)
    counted = counted_classes(_sizes(encoded), pixels, classes, encoded.binary)
    return reduce_classes(per_class, counted, reduction, weight=weight)


def _sizes(encoded: Encoded) -> Tensor:
    """Size of each class in the batch, (1, C)."""
    return encoded.truth().transpose(0, 1).flatten(1).sum(1).unsqueeze(0)


@full_precision
def boundary(
    logits: Tensor,
    target: Tensor,
    distance_map: Tensor,
    *,
    ignore_index: int | None = None,
    weight: Weight | None = None,
    classes: Classes = "present",
    reduction: Reduction = "mean",
) -> Tensor:
    r"""Kervadec's boundary loss, :math:`\frac1{|\Omega|} \sum_i p_i\, \phi_i`, for each class.

    It is linear in p and negative where the truth lies, so its smallest value is that of p = y, not 0. The paper always
    adds it to a region loss: :math:`\alpha L_R + (1-\alpha) L_B` with :math:`\alpha` from 1 down by 0.01 an epoch; see
    :class:`segeval.losses.WeightedSum` and :func:`segeval.losses.linear_schedule`.

    Parameters
    ----------
    distance_map
        (N, C, *spatial) from :func:`segeval.losses.signed_distance_map`.

    References
    ----------
    Kervadec et al., "Boundary loss for highly unbalanced segmentation", MIDL 2019.
    """
    encoded = encode(logits, target, ignore_index)
    phi = pixel_map(distance_map, encoded, "distance_map", channels=True)
    return mean_over_pixels(encoded.probabilities() * phi, encoded, classes, reduction, weight)


@full_precision
def region_wise(
    logits: Tensor,
    target: Tensor,
    distance_map: Tensor,
    *,
    ignore_index: int | None = None,
    weight: Weight | None = None,
    classes: Classes = "all",
    reduction: Reduction = "mean",
) -> Tensor:
    r"""Rectified region-wise loss, :math:`\frac1{|\Omega|} \sum_i p_i\, z_i`, z in [-1, 0) inside the class and 1
    outside.

    Linear in p like :func:`boundary`, with a negative minimum at p = y.

    Parameters
    ----------
    distance_map
        z, (N, C, *spatial) from :func:`segeval.losses.region_wise_map`.

    References
    ----------
    Valverde, Tohka, "Region-wise loss for biomedical image segmentation", Pattern Recognition 2023.
    """
    encoded = encode(logits, target, ignore_index)
    z = pixel_map(distance_map, encoded, "distance_map", channels=True)
    return mean_over_pixels(encoded.probabilities() * z, encoded, classes, reduction, weight)


def boundary_shares(encoded: Encoded) -> Tensor:
    """Share of each class's pixels that lie on its boundary in the batch, (C,); the image's border is a boundary."""
    smooth = 1e-5
    if encoded.labels is not None:
        # On class indices one look at the neighbours serves all classes.
        keys = encoded.labels if encoded.valid is None else encoded.labels.masked_fill(~encoded.valid, -1)
        inner = _inner(keys, 1).to(encoded.logits.dtype) * encoded.mask()
        C = max(encoded.logits.shape[1], 2)
        zeros, flat = encoded.logits.new_zeros(C), encoded.labels.flatten()
        sizes = zeros.scatter_add(0, flat, encoded.mask().flatten())
        inside = zeros.scatter_add(0, flat, inner.flatten())
        if encoded.binary:
            sizes, inside = sizes[1:], inside[1:]
    else:
        members = encoded.truth() > 0.5
        inner = _inner(members, 2) & members
        sizes = members.transpose(0, 1).flatten(1).sum(1).to(encoded.logits.dtype)
        inside = inner.transpose(0, 1).flatten(1).sum(1).to(encoded.logits.dtype)
    return (sizes - inside + smooth) / (sizes + smooth)


def _inner(keys: Tensor, first: int) -> Tensor:
    """Pixels whose face neighbours along the axes from `first` on all exist and hold the same key."""
    inner = torch.ones_like(keys, dtype=torch.bool)
    for axis in range(first, keys.dim()):
        size = keys.shape[axis]
        same = keys.narrow(axis, 1, size - 1) == keys.narrow(axis, 0, size - 1)
        edge = torch.zeros_like(keys.narrow(axis, 0, 1), dtype=torch.bool)
        inner = inner & torch.cat([edge, same], axis) & torch.cat([same, edge], axis)
    return inner


@full_precision
def boundary_dou(
    logits: Tensor,
    target: Tensor,
    *,
    smooth: float = 1e-5,
    largest_alpha: float = 0.8,
    ignore_index: int | None = None,
    weight: Weight | None = None,
    classes: Classes = "present",
    reduction: Reduction = "mean",
) -> Tensor:
    r"""Boundary difference over union, :math:`\frac{P + Y - 2I + s}{P + Y - (1 + \alpha_c) I + s}`, for each class.

    :math:`P = \sum p^2`, :math:`Y = \sum y^2`, :math:`I = \sum p y`, and
    :math:`\alpha_c = \min(2(1 - C/S) - 1, 0.8)` with C of the S pixels of the class on its boundary (those with a face
    neighbour outside the class or the image). Small objects, nearly all boundary, have a negative alpha.

    References
    ----------
    Sun, Luo, Li, "Boundary difference over union loss for medical image segmentation", MICCAI 2023.
    """
    encoded = encode(logits, target, ignore_index)
    sums = overlap(encoded, squared=True)
    with torch.no_grad():
        alpha = (1 - 2 * boundary_shares(encoded)).clamp_max(largest_alpha)
    difference = sums.prediction + sums.truth - 2 * sums.intersection
    union = sums.prediction + sums.truth - (1 + alpha) * sums.intersection
    values = 1 - ratio(union - difference, union + smooth)
    counted = counted_classes(sums.truth, sums.pixels, classes, encoded.binary)
    return reduce_classes(values, counted, reduction, weight=weight)


@full_precision
def boundary_aware(
    logits: Tensor,
    target: Tensor,
    distance_map: Tensor,
    *,
    radius: float | None = None,
    ignore_index: int | None = None,
    reduction: Reduction = "mean",
) -> Tensor:
    r"""Boundary-aware loss: cross-entropy of the binned, truncated distance :math:`D_i = \min(\lceil d_i \rceil, R)`.

    The network's K channels are not classes but K equal bins of [0, R], and each pixel is asked how deep inside its
    object it lies; the object is the union of the discs so predicted.

    Parameters
    ----------
    logits
        (N, K, *spatial), K >= 2; a single channel is read as two bins.
    target
        (N, *spatial) labels: only their ignored pixels matter.
    distance_map
        d, (N, *spatial), distance to the outside and 0 there: :func:`segeval.losses.inner_distance_map`.
    radius
        R; K - 1 by default, so that each whole distance has a bin.

    References
    ----------
    Hayder, He, Salzmann, "Boundary-aware instance segmentation", CVPR 2017.
    """
    encoded = encode(logits, target, ignore_index)
    both = encoded.two_class()
    K = both.logits.shape[1]
    R = float(K - 1 if radius is None else radius)
    depth = pixel_map(distance_map, encoded, "distance_map").ceil().clamp(0, R)
    bins = (depth / R * (K - 1)).round().long()
    values = pixel_cross_entropy(Encoded(both.logits, bins, None, both.valid))
    return reduce_pixels(values, encoded, reduction)


@full_precision
def shape_aware(
    logits: Tensor,
    target: Tensor,
    distance_map: Tensor,
    *,
    ignore_index: int | None = None,
    reduction: Reduction = "mean",
) -> Tensor:
    r"""Shape-aware loss, :math:`\frac1N \bigl(\sum_i L_i + \sum_{i:\hat y_i \ne y_i} E\, L_i\bigr)`, L the
    cross-entropy.

    E is, for each image, the mean distance of the predicted contour to the true one; it enters where prediction and
    truth differ, and no gradient flows through it.

    Parameters
    ----------
    distance_map
        (N, *spatial) from :func:`segeval.losses.boundary_distance_map`.

    References
    ----------
    Al Arif, Knapp, Slabaugh, "Shape-aware deep convolutional neural network for vertebrae segmentation", MSKI 2017.
    """
    encoded = encode(logits, target, ignore_index)
    distances = pixel_map(distance_map, encoded, "distance_map")
    costs = pixel_cross_entropy(encoded)
    with torch.no_grad():
        scores, truth = encoded.two_class().logits, encoded.two_class().truth()
        predicted = scores.argmax(1)
        contour = _contour(predicted, encoded.valid).to(costs.dtype)
        lengths = contour.flatten(1).sum(1)
        gaps = (contour * distances).flatten(1).sum(1) / lengths.clamp_min(1)
        wrong = (predicted != truth.argmax(1)).to(costs.dtype)
        factors = 1 + gaps.view(-1, *[1] * (wrong.dim() - 1)) * wrong
    return reduce_pixels(factors * costs, encoded, reduction)


def _contour(labels: Tensor, valid: Tensor | None) -> Tensor:
    """Pixels whose label differs from the next one along an axis, both valid: the rule of `boundary_mask`."""
    edge = torch.zeros_like(labels, dtype=torch.bool)
    for axis in range(1, labels.dim()):
        size = labels.shape[axis]
        if size < 2:
            continue
        differs = labels.narrow(axis, 1, size - 1) != labels.narrow(axis, 0, size - 1)
        if valid is not None:
            differs &= valid.narrow(axis, 1, size - 1) & valid.narrow(axis, 0, size - 1)
        edge.narrow(axis, 0, size - 1).logical_or_(differs)
    return edge
