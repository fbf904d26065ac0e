"""Soft overlaps of prediction and truth: the sums under every region loss.

With class indices and a softmax the sums and their gradient are taken image by image, so that no one-hot truth and no
probabilities of the whole batch are ever held: the peak is the logits, their gradient and one image's worth of work.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from segeval.errors import SegevalError
from segeval.losses.encoding import Encoded

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
    common, size = _SoftmaxSums.apply(logits, labels, mask, squared)  # type: ignore[no-untyped-call]
    return common, size, truth


class _SoftmaxSums(torch.autograd.Function):
    """(sum of p_c where the label is c, sum of p_c or its square), each (N, C), from logits (N, C, P)."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, labels: Tensor, mask: Tensor | None, squared: bool) -> tuple[Tensor, Tensor]:
        N, C, _ = logits.shape
        common, size = logits.new_zeros(N, C), logits.new_empty(N, C)
        for n in range(N):
            p = torch.softmax(logits[n], 0)
            hit = p.gather(0, labels[n : n + 1])[0]
            common[n].scatter_add_(0, labels[n], hit if mask is None else hit * mask[n])
            if squared:
                p = p.square_()
            size[n] = p.sum(1) if mask is None else p @ mask[n]
        ctx.save_for_backward(logits, labels, mask)
        ctx.squared = squared
        return common, size

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_common: Tensor, d_size: Tensor) -> tuple[Tensor, None, None, None]:
        logits, labels, mask = ctx.saved_tensors
        grad = torch.empty_like(logits, memory_format=torch.contiguous_format)
        for n in range(logits.shape[0]):
            p = torch.softmax(logits[n], 0)
            # The gradient in p is d_size (times 2 p) everywhere, plus d_common at the true class.
            g = p * (2 * d_size[n].unsqueeze(1)) if ctx.squared else d_size[n].unsqueeze(1).expand_as(p).contiguous()
            g.scatter_add_(0, labels[n : n + 1], d_common[n][labels[n]].unsqueeze(0))
            if mask is not None:
                g *= mask[n]
            grad[n] = torch.ops.aten._softmax_backward_data(g, p, 0, p.dtype)
        return grad, None, None, None
