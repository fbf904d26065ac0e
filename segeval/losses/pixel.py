"""Pixel-level losses: each pixel pays on its own."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from segeval.errors import SegevalError
from segeval.losses.encoding import (
    Encoded,
    Reduction,
    class_weights,
    encode,
    full_precision,
    power,
    reduce_pixels,
)
from segeval.losses.streaming import softmax_costs

Weight = Tensor | Sequence[float]


def pixel_cross_entropy(encoded: Encoded, smoothing: float = 0.0) -> Tensor:
    """Cross-entropy of each pixel, (N, *spatial), unreduced; ignored pixels hold a value that must be masked."""
    logits, labels, soft = encoded.logits, encoded.labels, encoded.soft
    if encoded.binary:
        truth = labels.to(logits.dtype) if labels is not None else encoded.truth()[:, 0]
        truth = truth * (1 - smoothing) + smoothing / 2
        return F.binary_cross_entropy_with_logits(logits[:, 0], truth, reduction="none")
    if labels is not None:
        if smoothing or torch.compiler.is_compiling():
            return F.cross_entropy(logits, labels, reduction="none", label_smoothing=smoothing)
        return softmax_costs(logits.flatten(2), labels.flatten(1)).view_as(labels)
    assert soft is not None
    soft = soft * (1 - smoothing) + smoothing / logits.shape[1]
    return -(soft * F.log_softmax(logits, 1)).sum(1)


def _weights_of_pixels(encoded: Encoded, weight: Weight) -> Tensor:
    """The weight of each pixel's true class, (N, *spatial); for soft labels the mixture of weights."""
    two = max(encoded.logits.shape[1], 2)
    w = class_weights(weight, encoded.logits, two)
    if encoded.labels is not None:
        return w[encoded.labels] * encoded.mask()
    truth = encoded.two_class().truth()
    return torch.tensordot(truth, w, dims=([1], [0]))  # type: ignore[no-untyped-call,no-any-return,unused-ignore]


@full_precision
def cross_entropy(
    logits: Tensor,
    target: Tensor,
    *,
    ignore_index: int | None = None,
    weight: Weight | None = None,
    label_smoothing: float = 0.0,
    reduction: Reduction = "mean",
) -> Tensor:
    r"""Cross-entropy, :math:`-\sum_i w_{y_i} \log p_{i,y_i}`; the mean divides by :math:`\sum_i w_{y_i}`.

    Parameters
    ----------
    logits, target, ignore_index
        See :func:`segeval.losses.encode`.
    weight
        Class weights (C,), background and foreground (2,) in the binary case; see
        :func:`segeval.losses.median_frequency_weights`.
    label_smoothing
        Share of the truth spread evenly over the classes.
    reduction
        "mean", "sum", or "none" for (N, *spatial).

    References
    ----------
    Long, Shelhamer, Darrell, "Fully convolutional networks for semantic segmentation", CVPR 2015 (plain);
    Badrinarayanan, Kendall, Cipolla, "SegNet", PAMI 2017 (weighted by median frequency).
    """
    encoded = encode(logits, target, ignore_index)
    if weight is None:
        return reduce_pixels(pixel_cross_entropy(encoded, label_smoothing), encoded, reduction)
    w = _weights_of_pixels(encoded, weight)
    if encoded.labels is not None and label_smoothing == 0:
        return reduce_pixels(w * pixel_cross_entropy(encoded), encoded, reduction, w.sum())
    # Soft labels weigh each class's term by its own weight, which a single weight per pixel cannot say.
    both = encoded.two_class()
    classes = both.logits.shape[1]
    truth = both.truth() * (1 - label_smoothing) + label_smoothing / classes
    weighted = truth * class_weights(weight, both.logits).view(1, -1, *[1] * (truth.dim() - 2))
    return reduce_pixels(-(weighted * both.log_probabilities()).sum(1), encoded, reduction, w.sum())


@full_precision
def balanced_cross_entropy(
    logits: Tensor, target: Tensor, *, ignore_index: int | None = None, reduction: Reduction = "mean"
) -> Tensor:
    r"""Balanced cross-entropy, :math:`-\frac1N \sum_i (1 - f_{y_i}) \log p_{i,y_i}`, f the class frequencies of the
    batch.

    With two classes this is HED's :math:`\beta = |Y_-|/|Y|` on positives and :math:`1-\beta` on negatives; the same
    rule serves more classes. A batch of a single class weighs 0.

    References
    ----------
    Xie, Tu, "Holistically-nested edge detection", ICCV 2015.
    """
    encoded = encode(logits, target, ignore_index)
    both = encoded.two_class()
    with torch.no_grad():
        sizes = _class_sizes(both)
        frequencies = sizes / sizes.sum().clamp_min(1)
    if both.labels is not None:
        values = (1 - frequencies)[both.labels] * pixel_cross_entropy(encoded)
    else:
        w = (1 - frequencies).view(1, -1, *[1] * (both.logits.dim() - 2))
        values = -(w * both.truth() * both.log_probabilities()).sum(1)
    return reduce_pixels(values, encoded, reduction)


def _class_sizes(encoded: Encoded) -> Tensor:
    """Pixels of each class over the batch, (C,)."""
    C = encoded.logits.shape[1]
    if encoded.labels is None:
        return encoded.truth().transpose(0, 1).flatten(1).sum(1)
    sizes = encoded.logits.new_zeros(C)
    return sizes.scatter_add(0, encoded.labels.flatten(), encoded.mask().flatten())


@full_precision
def top_k(
    logits: Tensor,
    target: Tensor,
    *,
    fraction: float = 0.1,
    ignore_index: int | None = None,
    weight: Weight | None = None,
) -> Tensor:
    """Mean cross-entropy of the hardest `fraction` of the pixels that count (at least one).

    References
    ----------
    Wu, Shen, van den Hengel, "Bridging category-level and instance-level semantic image segmentation", 2016.
    """
    if not 0 < fraction <= 1:
        raise SegevalError(f"fraction is {fraction}", remedy="give a share of the pixels in (0, 1]")
    encoded = encode(logits, target, ignore_index)
    values, pixels = _flat_costs(encoded, weight)
    if pixels == 0:
        return values.sum() * 0
    return torch.topk(values, max(1, int(fraction * pixels)), sorted=False).values.mean()


@full_precision
def ohem(
    logits: Tensor,
    target: Tensor,
    *,
    threshold: float = 0.7,
    min_kept: int = 100_000,
    ignore_index: int | None = None,
    weight: Weight | None = None,
) -> Tensor:
    """Mean cross-entropy of the pixels whose true class has a probability under `threshold`.

    When fewer than `min_kept` pixels are that hard, the `min_kept` hardest are taken (all, if there are fewer).

    References
    ----------
    Shrivastava, Gupta, Girshick, "Training region-based object detectors with online hard example mining", CVPR 2016.
    """
    encoded = encode(logits, target, ignore_index)
    values, pixels = _flat_costs(encoded, weight)
    if pixels == 0:
        return values.sum() * 0
    plain = values if weight is None else _flat_costs(encoded, None)[0]
    with torch.no_grad():
        hard = int((plain > -torch.log(plain.new_tensor(threshold))).sum())
        kept = min(pixels, max(hard, min_kept, 1))
        chosen = torch.topk(plain, kept, sorted=False).indices
    return values[chosen].mean()


def _flat_costs(encoded: Encoded, weight: Weight | None) -> tuple[Tensor, int]:
    """Costs of all pixels, flat, ignored ones at -1 so that they rank last, and the number that count."""
    values = pixel_cross_entropy(encoded)
    if weight is not None:
        values = values * _weights_of_pixels(encoded, weight)
    if encoded.valid is None:
        return values.flatten(), values.numel()
    return values.masked_fill(~encoded.valid, -1.0).flatten(), int(encoded.valid.sum())


@full_precision
def focal(
    logits: Tensor,
    target: Tensor,
    *,
    gamma: float = 2.0,
    ignore_index: int | None = None,
    weight: Weight | None = None,
    reduction: Reduction = "mean",
) -> Tensor:
    r"""Focal loss over the softmax, :math:`-\alpha_{y_i} (1 - p_{i,y_i})^\gamma \log p_{i,y_i}`, mean over pixels.

    At gamma 0 without weights this is the cross-entropy. `weight` is the paper's alpha: (C,), or (2,) for a binary
    problem. Soft labels sum the term of each class by its share.

    References
    ----------
    Lin, Goyal, Girshick, He, Dollár, "Focal loss for dense object detection", ICCV 2017.
    """
    encoded = encode(logits, target, ignore_index)
    if encoded.labels is not None:
        costs = pixel_cross_entropy(encoded)
        values = costs if gamma == 0 else power(-torch.expm1(-costs), gamma) * costs
        if weight is not None:
            values = values * _weights_of_pixels(encoded, weight)
        return reduce_pixels(values, encoded, reduction)
    both = encoded.two_class()
    log_p = both.log_probabilities()
    terms = -both.truth() * power(-torch.expm1(log_p), gamma) * log_p
    if weight is not None:
        terms = terms * class_weights(weight, terms).view(1, -1, *[1] * (terms.dim() - 2))
    return reduce_pixels(terms.sum(1), encoded, reduction)


@full_precision
def sigmoid_focal(
    logits: Tensor,
    target: Tensor,
    *,
    gamma: float = 2.0,
    alpha: float | None = 0.25,
    ignore_index: int | None = None,
    reduction: Reduction = "mean",
) -> Tensor:
    r"""Focal loss over independent sigmoids, one against the rest, summed over the channels, mean over pixels.

    :math:`-\alpha_t (1-p_t)^\gamma \log p_t` with :math:`\alpha` on positives and :math:`1-\alpha` on negatives.
    Divide the "sum" by the number of positive anchors for a detector.

    References
    ----------
    Lin, Goyal, Girshick, He, Dollár, "Focal loss for dense object detection", ICCV 2017.
    """
    encoded = encode(logits, target, ignore_index)
    truth = encoded.truth()
    costs = F.binary_cross_entropy_with_logits(encoded.logits, truth, reduction="none")
    # For hard labels p_t = exp(-cost); soft labels take the mixture that torchvision's operator takes.
    if encoded.labels is not None:
        wrong = -torch.expm1(-costs)
    else:
        p = torch.sigmoid(encoded.logits)
        wrong = p * (1 - truth) + (1 - p) * truth
    values = power(wrong, gamma) * costs
    if alpha is not None:
        values = values * (alpha * truth + (1 - alpha) * (1 - truth))
    return reduce_pixels(values.sum(1), encoded, reduction)


@full_precision
def distance_cross_entropy(
    logits: Tensor,
    target: Tensor,
    distance_map: Tensor,
    *,
    ignore_index: int | None = None,
    reduction: Reduction = "mean",
) -> Tensor:
    r"""Distance-map penalised cross-entropy, :math:`-\frac1N \sum_i (1 + \phi_i) \log p_{i,y_i}`.

    Parameters
    ----------
    distance_map
        phi, (N, *spatial) in [0, 1], largest at boundaries: :func:`segeval.losses.inverted_distance_map`.

    References
    ----------
    Caliva et al., "Distance map loss penalty term for semantic segmentation", MIDL 2019.
    """
    encoded = encode(logits, target, ignore_index)
    phi = pixel_map(distance_map, encoded, "distance_map")
    return reduce_pixels((1 + phi) * pixel_cross_entropy(encoded), encoded, reduction)


@full_precision
def border_cross_entropy(
    logits: Tensor,
    target: Tensor,
    instance_ids: Tensor | None = None,
    *,
    weight_map: Tensor | None = None,
    w0: float = 10.0,
    sigma: float = 5.0,
    ignore_index: int | None = None,
    weight: Weight | None = None,
    reduction: Reduction = "mean",
) -> Tensor:
    r"""U-Net's border-weighted cross-entropy, :math:`w_i = w_{y_i} + w_0 \exp(-(d_1 + d_2)^2 / 2\sigma^2)`.

    The mean divides by the number of pixels, so that the border term adds to the loss instead of diluting it.

    Parameters
    ----------
    instance_ids
        (N, *spatial) ids of the truth, 0 for background; or
    weight_map
        (N, *spatial), the second term, made in the data loader by :func:`segeval.losses.border_weight_map`.
    weight
        The class weights :math:`w_c`, 1 by default.

    References
    ----------
    Ronneberger, Fischer, Brox, "U-Net", MICCAI 2015.
    """
    encoded = encode(logits, target, ignore_index)
    if (instance_ids is None) == (weight_map is None):
        raise SegevalError("the border loss needs instance_ids or weight_map, one of the two")
    if weight_map is None:
        from segeval.losses.maps import border_weight_map

        assert instance_ids is not None
        maps = [border_weight_map(ids, w0=w0, sigma=sigma) for ids in instance_ids.detach().cpu().numpy()]
        weight_map = torch.stack([torch.from_numpy(one) for one in maps])
    border = pixel_map(weight_map, encoded, "weight_map")
    base = encoded.mask() if weight is None else _weights_of_pixels(encoded, weight)
    return reduce_pixels((base + border) * pixel_cross_entropy(encoded), encoded, reduction)


def pixel_map(values: Tensor, encoded: Encoded, name: str, channels: bool = False) -> Tensor:
    """A map that belongs to the pixels of a batch, checked and in the dtype and on the device of the logits."""
    shape = encoded.logits.shape if channels else encoded.logits[:, 0].shape
    if values.shape != shape:
        raise SegevalError(f"{name} is {tuple(values.shape)}", remedy=f"it must be {tuple(shape)} to fit the logits")
    return values.to(device=encoded.logits.device, dtype=encoded.logits.dtype)
