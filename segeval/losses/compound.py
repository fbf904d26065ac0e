"""Combinations of pixel and region losses."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from segeval.errors import SegevalError
from segeval.losses.encoding import (
    Classes,
    Encoded,
    Reduction,
    class_weights,
    counted_classes,
    encode,
    full_precision,
    power,
    reduce_classes,
    reduce_pixels,
)
from segeval.losses.pixel import cross_entropy, pixel_cross_entropy
from segeval.losses.region.dice import dice, dice_of, tversky_of
from segeval.losses.region.overlap import overlap

Weight = Tensor | Sequence[float]


def log_complement(encoded: Encoded) -> tuple[Tensor, Tensor]:
    """(log p, log(1 - p)) of every channel, exact where p rounds to 0 or 1."""
    z = encoded.logits
    if encoded.binary:
        return F.logsigmoid(z), F.logsigmoid(-z)
    log_p = F.log_softmax(z, 1)
    top = torch.zeros_like(z, dtype=torch.bool).scatter(1, z.detach().argmax(1, keepdim=True), True)
    # Only the largest p can round to 1; its complement is the sum of the others.
    rest = torch.logsumexp(log_p.masked_fill(top, float("-inf")), 1, keepdim=True)
    small = torch.log1p(-log_p.masked_fill(top, -1.0).exp())
    return log_p, torch.where(top, rest, small)


@full_precision
def combo(
    logits: Tensor,
    target: Tensor,
    *,
    alpha: float = 0.5,
    beta: float = 0.5,
    smooth: float = 1.0,
    ignore_index: int | None = None,
    weight: Weight | None = None,
    classes: Classes = "present",
    per_image: bool = False,
    reduction: Reduction = "mean",
) -> Tensor:
    r"""Combo loss, :math:`-\alpha \frac1N \sum_i [\beta y \ln p + (1-\beta)(1-y) \ln(1-p)] - (1-\alpha) D_c` for each
    class.

    D is the Dice coefficient, so the smallest value is :math:`-(1-\alpha)`. `beta` above 1/2 punishes misses more
    than false alarms.

    References
    ----------
    Taghanaki et al., "Combo loss: handling input and output imbalance in multi-organ segmentation", CMIG 2019.
    """
    encoded = encode(logits, target, ignore_index)
    log_p, log_q = log_complement(encoded)
    y, mask = encoded.truth(), encoded.mask().unsqueeze(1)
    terms = -(beta * y * log_p + (1 - beta) * (1 - y) * log_q) * mask
    sums = overlap(encoded, per_image=per_image)
    cross = terms.flatten(2).sum(2)
    cross = cross if per_image else cross.sum(0, keepdim=True)
    cross = cross / sums.pixels.clamp_min(1).unsqueeze(1)
    values = alpha * cross - (1 - alpha) * dice_of(sums, smooth)
    counted = counted_classes(sums.truth, sums.pixels, classes, encoded.binary)
    return reduce_classes(values, counted, reduction, weight=weight, per_image=per_image)


@full_precision
def exponential_logarithmic(
    logits: Tensor,
    target: Tensor,
    *,
    dice_weight: float = 0.8,
    cross_weight: float = 0.2,
    gamma_dice: float = 0.3,
    gamma_cross: float = 0.3,
    smooth: float = 1.0,
    frequencies: Weight | None = None,
    ignore_index: int | None = None,
    classes: Classes = "present",
) -> Tensor:
    r"""Exponential logarithmic loss, :math:`0.8\,E_c[(-\ln D_c)^{\gamma}] + 0.2\,E_i[w_{y_i} (-\ln
    p_{i,y_i})^{\gamma}]`.

    :math:`w_c = (\sum_k f_k / f_c)^{1/2}`. A binary problem has two classes in the second term. Under 1e-7 both
    powers go on as lines through 0, so that the gradient stays finite at a perfect prediction.

    Parameters
    ----------
    frequencies
        Class frequencies f of the training set, (C,), (2,) for a binary problem; those of the batch by default.

    References
    ----------
    Wong et al., "3D segmentation with exponential logarithmic loss for highly unbalanced object sizes", MICCAI 2018.
    """
    encoded = encode(logits, target, ignore_index)
    sums = overlap(encoded)
    # Rounding may put the coefficient a hair above 1.
    region = power((-dice_of(sums, smooth).log()).clamp_min(0), gamma_dice)
    counted = counted_classes(sums.truth, sums.pixels, classes, encoded.binary)
    first = reduce_classes(region, counted, "mean")
    both = encoded.two_class()
    with torch.no_grad():
        if frequencies is None:
            f = both.truth().transpose(0, 1).flatten(1).sum(1)
        else:
            f = class_weights(frequencies, both.logits)
        w = torch.where(f > 0, f.sum() / torch.where(f > 0, f, torch.ones_like(f)), torch.zeros_like(f)).sqrt()
    if both.labels is not None:
        values = w[both.labels] * power(pixel_cross_entropy(encoded), gamma_cross)
    else:
        shaped = w.view(1, -1, *[1] * (both.logits.dim() - 2))
        values = (shaped * both.truth() * power(-both.log_probabilities(), gamma_cross)).sum(1)
    return dice_weight * first + cross_weight * reduce_pixels(values, encoded, "mean")


@full_precision
def unified_focal(
    logits: Tensor,
    target: Tensor,
    *,
    balance: float = 0.5,
    delta: float = 0.6,
    gamma: float = 0.5,
    asymmetric: bool = True,
    background: int = 0,
    smooth: float = 1e-5,
    ignore_index: int | None = None,
    classes: Classes = "present",
    per_image: bool = False,
) -> Tensor:
    r"""Unified focal loss, :math:`\lambda L_{mF} + (1-\lambda) L_{mFT}`, for any number of classes.

    With :math:`\delta_c = \delta` on foreground and :math:`1-\delta` on the background class,

    - symmetric: :math:`L_{mF} = -\frac1N \sum_i \delta_{y_i} (1-p_i)^{\gamma} \ln p_i` and
      :math:`L_{mFT} = \mathrm{mean}_c (1 - TI_c)^{1-\gamma}`;
    - asymmetric: the focal factor acts on background pixels only, the exponent on foreground classes only.

    TI weighs false negatives by delta and false positives by 1 - delta. A binary problem has two classes here.

    Parameters
    ----------
    balance
        lambda.

    References
    ----------
    Yeung et al., "Unified focal loss: generalising Dice and cross entropy-based losses to handle class imbalanced
    medical image segmentation", CMIG 2022.
    """
    encoded = encode(logits, target, ignore_index).two_class()
    C = encoded.logits.shape[1]
    if not 0 <= background < C or not 0 <= gamma < 1:
        raise SegevalError(
            f"background {background}, gamma {gamma}", remedy=f"there are {C} classes, gamma is in [0, 1)"
        )
    w = encoded.logits.new_full((C,), delta)
    w[background] = 1 - delta
    behind = torch.zeros(C, dtype=torch.bool, device=w.device)
    behind[background] = True
    if encoded.labels is not None:
        costs = pixel_cross_entropy(encoded)
        focused = power(-torch.expm1(-costs), gamma) * costs
        if asymmetric:
            focused = torch.where(behind[encoded.labels], focused, costs)
        values = w[encoded.labels] * focused
    else:
        log_p = encoded.log_probabilities()
        factor = power(-torch.expm1(log_p), gamma)
        shape = (1, -1, *[1] * (log_p.dim() - 2))
        if asymmetric:
            factor = torch.where(behind.view(shape), factor, torch.ones_like(factor))
        values = -(w.view(shape) * encoded.truth() * factor * log_p).sum(1)
    first = reduce_pixels(values, encoded, "mean")
    sums = overlap(encoded, per_image=per_image)
    missed = (1 - tversky_of(sums, 1 - delta, delta, smooth)).clamp_min(0)
    second = power(missed, 1 - gamma)
    if asymmetric:
        second = torch.where(behind, missed, second)
    counted = counted_classes(sums.truth, sums.pixels, classes, False)
    return balance * first + (1 - balance) * reduce_classes(second, counted, "mean", per_image=per_image)


@full_precision
def dice_cross_entropy(
    logits: Tensor,
    target: Tensor,
    *,
    dice_weight: float = 1.0,
    cross_weight: float = 1.0,
    smooth: float = 1e-5,
    squared: bool = False,
    ignore_index: int | None = None,
    weight: Weight | None = None,
    classes: Classes = "present",
    per_image: bool = False,
) -> Tensor:
    """Dice plus cross-entropy, 1 : 1 by default; `weight` weighs the classes of the cross-entropy.

    References
    ----------
    Isensee et al., "nnU-Net", Nature Methods 2021.
    """
    first = dice(
        logits,
        target,
        smooth=smooth,
        squared=squared,
        ignore_index=ignore_index,
        classes=classes,
        per_image=per_image,
    )
    second = cross_entropy(logits, target, ignore_index=ignore_index, weight=weight)
    return dice_weight * first + cross_weight * second
