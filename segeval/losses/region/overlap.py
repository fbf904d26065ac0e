"""Soft overlaps of prediction and truth: the sums under every region loss.

With class indices and a softmax they are streamed: no one-hot truth and no probabilities of the whole batch are held.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from segeval.errors import SegevalError
from segeval.losses.encoding import Encoded
from segeval.losses.streaming import softmax_sums

SoftForm = Literal["product", "difference"]


@dataclass(frozen=True)
class Overlap:
    """Sums over pixels of each group (image or batch) and class, all (G, C), and the pixels of each group, (G,)."""

    intersection: Tensor
    prediction: Tensor
    truth: Tensor
    pixels: Tensor


def overlap(encoded: Encoded, *, per_image: bool = False, squared: bool = False, form: SoftForm = "product") -> Overlap:
    r"""Intersection, prediction size and truth size of every class.

    Parameters
    ----------
    per_image
        One group for each image instead of one for the batch.
    squared
        Sizes are :math:`\sum p^2, \sum y^2` instead of :math:`\sum p, \sum y`.
    form
        For soft labels, the intersection is :math:`\sum p y` ("product") or :math:`\sum \min(p, y)`, that is
        :math:`(|p| + |y| - |p - y|)/2` ("difference"); the two agree on hard labels.
    """
    if form not in ("product", "difference"):
        raise SegevalError(f"soft_form is {form!r}", remedy='use "product" or "difference"')
    if encoded.labels is not None and not encoded.binary:
        sums = _index_sums(encoded, squared)
    else:
        p, y = encoded.probabilities().flatten(2), encoded.truth().flatten(2)
        common = p * y if form == "product" or encoded.soft is None else torch.minimum(p, y)
        sizes = (p * p, y * y) if squared else (p, y)
        sums = (common.sum(2), sizes[0].sum(2), sizes[1].sum(2))
    pixels = encoded.pixels()
    if not per_image:
        common, prediction, truth = (part.sum(0, keepdim=True) for part in sums)
        return Overlap(common, prediction, truth, pixels.sum(0, keepdim=True))
    return Overlap(*sums, pixels)


def _index_sums(encoded: Encoded, squared: bool) -> tuple[Tensor, Tensor, Tensor]:
    logits, labels = encoded.logits.flatten(2), encoded.labels
    assert labels is not None
    labels = labels.flatten(1)
    mask = None if encoded.valid is None else encoded.mask().flatten(1)
    if torch.compiler.is_compiling():
        # The compiler fuses the plain formula by itself, and cannot see into a hand-written gradient.
        p, y = encoded.probabilities().flatten(2), encoded.truth().flatten(2)
        return (p * y).sum(2), (p * p if squared else p).sum(2), y.sum(2)
    truth = torch.zeros_like(logits[:, :, 0])
    ones = torch.ones_like(logits[:, 0]) if mask is None else mask
    truth.scatter_add_(1, labels, ones)
    common, size = softmax_sums(logits, labels, mask, squared)
    return common, size, truth
