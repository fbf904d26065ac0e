"""Region-level losses: overlaps of regions, Dice and its relatives."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from segeval.errors import SegevalError
from segeval.losses.encoding import (
    Classes,
    Encoded,
    Reduction,
    counted_classes,
    encode,
    full_precision,
    power,
    ratio,
    reduce_classes,
)
from segeval.losses.region.overlap import Overlap, SoftForm, overlap

Weight = Tensor | Sequence[float]


def _finish(
    values: Tensor,
    sums: Overlap,
    encoded: Encoded,
    classes: Classes,
    reduction: Reduction,
    weight: Weight | None,
    per_image: bool,
) -> Tensor:
    counted = counted_classes(sums.truth, sums.pixels, classes, encoded.binary)
    return reduce_classes(values, counted, reduction, weight=weight, per_image=per_image)


def dice_of(sums: Overlap, smooth: float) -> Tensor:
    """The soft Dice coefficient of each group and class, (G, C)."""
    return ratio(2 * sums.intersection + smooth, sums.prediction + sums.truth + smooth)


def tversky_of(sums: Overlap, alpha: float, beta: float, smooth: float) -> Tensor:
    """The soft Tversky index of each group and class, (G, C)."""
    false_positive = sums.prediction - sums.intersection
    false_negative = sums.truth - sums.intersection
    hit = sums.intersection
    return ratio(hit + smooth, hit + alpha * false_positive + beta * false_negative + smooth)


@full_precision
def dice(
    logits: Tensor,
    target: Tensor,
    *,
    smooth: float = 1.0,
    squared: bool = False,
    soft_form: SoftForm = "product",
    ignore_index: int | None = None,
    weight: Weight | None = None,
    classes: Classes = "present",
    per_image: bool = False,
    reduction: Reduction = "mean",
) -> Tensor:
    r"""Dice loss, :math:`1 - \frac{2 \sum p y + s}{\sum p^q + \sum y^q + s}` for each class.

    Parameters
    ----------
    logits, target, ignore_index
        See :func:`segeval.losses.encode`.
    smooth
        s; the lecture's and Drozdzal's form has 1, MONAI's 1e-5. It is more than a guard: with s = 1 an object of one
        pixel that is missed altogether costs 0.5.
    squared
        q = 2 (V-Net) instead of q = 1.
    soft_form
        How a soft label meets a probability: with "product" the loss of y = 0.7 is smallest at p = 1, with "difference"
        (:math:`\sum \min(p, y)`) it is smallest at p = y.
    weight
        Class weights (C,) of the mean over classes.
    classes
        "present" averages the classes of the truth, "all" every class, a list those named. The one channel of a binary
        problem always counts.
    per_image
        Sum over each image and average, instead of summing over the batch.
    reduction
        "mean", "sum", or "none" for (C,), with `per_image` (N, C).

    References
    ----------
    Milletari, Navab, Ahmadi, "V-Net", 3DV 2016 (squared); Drozdzal et al., "The importance of skip connections in
    biomedical image segmentation", 2016 (plain).
    """
    encoded = encode(logits, target, ignore_index)
    sums = overlap(encoded, per_image=per_image, squared=squared, form=soft_form)
    return _finish(1 - dice_of(sums, smooth), sums, encoded, classes, reduction, weight, per_image)


@full_precision
def log_cosh_dice(
    logits: Tensor,
    target: Tensor,
    *,
    smooth: float = 1.0,
    ignore_index: int | None = None,
    weight: Weight | None = None,
    classes: Classes = "present",
    per_image: bool = False,
    reduction: Reduction = "mean",
) -> Tensor:
    r"""Log-cosh Dice, :math:`\log\cosh L_D = L_D + \mathrm{softplus}(-2 L_D) - \log 2` of each class's Dice loss.

    References
    ----------
    Jadon, "A survey of loss functions for semantic segmentation", CIBCB 2020.
    """
    encoded = encode(logits, target, ignore_index)
    sums = overlap(encoded, per_image=per_image)
    loss = 1 - dice_of(sums, smooth)
    values = loss + F.softplus(-2 * loss) - math.log(2)
    return _finish(values, sums, encoded, classes, reduction, weight, per_image)


@full_precision
def generalized_dice(
    logits: Tensor,
    target: Tensor,
    *,
    smooth: float = 0.0,
    ignore_index: int | None = None,
    per_image: bool = False,
    reduction: Reduction = "mean",
) -> Tensor:
    r"""Generalised Dice, :math:`1 - \frac{2 \sum_c w_c \sum p y + s}{\sum_c w_c \sum (p + y) + s}`, :math:`w_c =
    1/(\sum y)^2`.

    An absent class would have an infinite weight; it gets none. A binary problem has two classes here, background and
    foreground, as in the paper. With `per_image`, "none" returns (N,).

    References
    ----------
    Sudre et al., "Generalised Dice overlap as a deep learning loss function", DLMIA 2017.
    """
    encoded = encode(logits, target, ignore_index).two_class()
    sums = overlap(encoded, per_image=per_image)
    present = sums.truth > 0
    smallest = torch.where(present, sums.truth, torch.inf).amin(1, keepdim=True)
    smallest = torch.where(present.any(1, keepdim=True), smallest, torch.ones_like(smallest))
    # Weights relative to the rarest class: the ratio is the same and nothing underflows.
    w = torch.where(present, (smallest / torch.where(present, sums.truth, 1.0)).square(), 0.0)
    s = smooth * smallest.squeeze(1).square()
    common = (w * sums.intersection).sum(1)
    total = (w * (sums.prediction + sums.truth)).sum(1)
    return _groups(1 - ratio(2 * common + s, total + s), sums.pixels, per_image, reduction)


def _groups(values: Tensor, pixels: Tensor, per_image: bool, reduction: Reduction) -> Tensor:
    """Reduce one value for each group (G,)."""
    counted = (pixels > 0).unsqueeze(1)
    reduced = reduce_classes(values.unsqueeze(1), counted, reduction, per_image=per_image)
    return reduced.squeeze(-1) if reduction == "none" else reduced


@full_precision
def wasserstein_dice(
    logits: Tensor,
    target: Tensor,
    *,
    distances: Tensor | Sequence[Sequence[float]] | None = None,
    background: int = 0,
    smooth: float = 1e-5,
    ignore_index: int | None = None,
    per_image: bool = False,
    reduction: Reduction = "mean",
) -> Tensor:
    r"""Generalised Wasserstein Dice, :math:`1 - \frac{2 T + s}{2 T + \sum_i W_i + s}`.

    :math:`W_i = \sum_l M_{y_i l}\, p_{il}` is the distance between prediction and truth at a pixel and
    :math:`T = \sum_{i: y_i \ne b} M_{y_i b}(M_{y_i b} - W_i)` collects the foreground that is right.

    Parameters
    ----------
    distances
        M, (C, C), symmetric with zero diagonal and values in [0, 1]; 1 off the diagonal by default. Small values
        between sibling classes forgive their confusion. A binary problem has two classes here.
    background
        The class b.

    References
    ----------
    Fidon et al., "Generalised Wasserstein Dice score for imbalanced multi-class segmentation", BrainLes 2017.
    """
    encoded = encode(logits, target, ignore_index).two_class()
    C = encoded.logits.shape[1]
    like = encoded.logits
    M = 1 - torch.eye(C, dtype=like.dtype, device=like.device) if distances is None else torch.as_tensor(distances)
    M = M.to(dtype=like.dtype, device=like.device)
    if M.shape != (C, C) or not 0 <= background < C:
        raise SegevalError(f"distances are {tuple(M.shape)}, background {background}", remedy=f"there are {C} classes")
    p = encoded.probabilities().flatten(2)
    cost = torch.einsum("lk,nkp->nlp", M, p)
    if encoded.labels is not None:
        labels = encoded.labels.flatten(1)
        W = cost.gather(1, labels.unsqueeze(1)).squeeze(1)
        apart = M[:, background][labels] * encoded.mask().flatten(1)
    else:
        y = encoded.truth().flatten(2)
        W = (y * cost).sum(1)
        apart = torch.einsum("ncp,c->np", y, M[:, background])
    right, wrong, pixels = (apart * (apart - W)).sum(1), W.sum(1), encoded.pixels()
    if not per_image:
        right, wrong, pixels = right.sum(0, True), wrong.sum(0, True), pixels.sum(0, True)
    values = 1 - ratio(2 * right + smooth, 2 * right + wrong + smooth)
    return _groups(values, pixels, per_image, reduction)


@full_precision
def jaccard(
    logits: Tensor,
    target: Tensor,
    *,
    smooth: float = 1e-5,
    soft_form: SoftForm = "product",
    ignore_index: int | None = None,
    weight: Weight | None = None,
    classes: Classes = "present",
    per_image: bool = False,
    reduction: Reduction = "mean",
) -> Tensor:
    r"""IoU (Jaccard) loss, :math:`1 - \frac{\sum p y + s}{\sum p + \sum y - \sum p y + s}` for each class.

    Options as in :func:`dice`.

    References
    ----------
    Rahman, Wang, "Optimizing intersection-over-union in deep neural networks for image segmentation", ISVC 2016.
    """
    encoded = encode(logits, target, ignore_index)
    sums = overlap(encoded, per_image=per_image, form=soft_form)
    return _finish(1 - tversky_of(sums, 1, 1, smooth), sums, encoded, classes, reduction, weight, per_image)


@full_precision
def tversky(
    logits: Tensor,
    target: Tensor,
    *,
    alpha: float = 0.3,
    beta: float = 0.7,
    smooth: float = 1e-5,
    soft_form: SoftForm = "product",
    ignore_index: int | None = None,
    weight: Weight | None = None,
    classes: Classes = "present",
    per_image: bool = False,
    reduction: Reduction = "mean",
) -> Tensor:
    r"""Tversky loss, :math:`1 - \frac{TP + s}{TP + \alpha FP + \beta FN + s}` for each class.

    `alpha` weighs false positives and `beta` false negatives, as in the paper (some code swaps the letters).
    At .5/.5 it is the Dice loss of twice the smoothing, at 1/1 the Jaccard loss. Options as in :func:`dice`.

    References
    ----------
    Salehi, Erdogmus, Gholipour, "Tversky loss function for image segmentation using 3D fully convolutional deep
    networks", MLMI 2017.
    """
    encoded = encode(logits, target, ignore_index)
    sums = overlap(encoded, per_image=per_image, form=soft_form)
    return _finish(1 - tversky_of(sums, alpha, beta, smooth), sums, encoded, classes, reduction, weight, per_image)


@full_precision
def focal_tversky(
    logits: Tensor,
    target: Tensor,
    *,
    alpha: float = 0.3,
    beta: float = 0.7,
    gamma: float = 4 / 3,
    smooth: float = 1e-5,
    ignore_index: int | None = None,
    weight: Weight | None = None,
    classes: Classes = "present",
    per_image: bool = False,
    reduction: Reduction = "mean",
) -> Tensor:
    r"""Focal Tversky, :math:`(1 - TI_c)^{1/\gamma}` for each class, then the mean.

    `gamma` is the paper's: 4/3 is the exponent 0.75. Under 1e-7 the power goes on as a line through 0, so that the
    gradient stays finite at a perfect prediction. Letters and options as in :func:`tversky`.

    References
    ----------
    Abraham, Khan, "A novel focal Tversky loss function with improved attention U-Net for lesion segmentation", ISBI
    2019.
    """
    encoded = encode(logits, target, ignore_index)
    sums = overlap(encoded, per_image=per_image)
    # Rounding may put the index a hair above 1.
    values = power((1 - tversky_of(sums, alpha, beta, smooth)).clamp_min(0), 1 / gamma)
    return _finish(values, sums, encoded, classes, reduction, weight, per_image)


@full_precision
def sensitivity_specificity(
    logits: Tensor,
    target: Tensor,
    *,
    r: float = 0.05,
    ignore_index: int | None = None,
    weight: Weight | None = None,
    classes: Classes = "present",
    per_image: bool = False,
    reduction: Reduction = "mean",
) -> Tensor:
    r"""Sensitivity-specificity, :math:`r \frac{\sum (y-p)^2 y}{\sum y} + (1-r) \frac{\sum (y-p)^2 (1-y)}{\sum (1-y)}`.

    `r` weighs the sensitivity. A class that is absent, or fills the image, has one term.

    References
    ----------
    Brosch et al., "Deep convolutional encoder networks for multiple sclerosis lesion segmentation", MICCAI 2015.
    """
    encoded = encode(logits, target, ignore_index)
    p, y = encoded.probabilities().flatten(2), encoded.truth().flatten(2)
    wrong = (y - p).square()
    inside, error = (wrong * y).sum(2), wrong.sum(2)
    truth, pixels = y.sum(2), encoded.pixels()
    if not per_image:
        inside, error, truth = (part.sum(0, keepdim=True) for part in (inside, error, truth))
        pixels = pixels.sum(0, keepdim=True)
    outside = pixels.unsqueeze(1) - truth
    one = torch.ones_like(truth)
    sensitivity = inside / torch.where(truth > 0, truth, one)
    specificity = (error - inside) / torch.where(outside > 0, outside, one)
    values = r * sensitivity + (1 - r) * specificity
    sums = Overlap(inside, error, truth, pixels)
    return _finish(values, sums, encoded, classes, reduction, weight, per_image)
