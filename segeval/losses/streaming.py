"""Softmax statistics of a batch in one pass over the logits, and their gradient in another.

The probabilities of a few thousand pixels at a time stay in the cache; what is kept for the backward pass is the logits
alone, which are read again. So the peak is the logits and their gradient, and the time little more than that of reading
them. The gradients are written by hand and cannot be differentiated a second time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

# Pixels whose probabilities are held at once on a CPU: a megabyte or so for twenty classes.
BLOCK = 16384


def _blocks(logits: Tensor) -> Iterator[tuple[int, slice]]:
    """Image and pixels of each block of logits (N, C, P); on a GPU a whole image, as launches cost more than cache."""
    N, _, pixels = logits.shape
    size = BLOCK if logits.device.type == "cpu" else max(pixels, 1)
    for n in range(N):
        for start in range(0, pixels, size):
            yield n, slice(start, start + size)


def softmax_sums(logits: Tensor, labels: Tensor, mask: Tensor | None, squared: bool) -> tuple[Tensor, Tensor]:
    """Sums over pixels of p_c where the label is c, and of p_c or its square.

    Parameters
    ----------
    logits
        (N, C, P).
    labels
        (N, P) int64 in 0..C-1.
    mask
        (N, P) 0 or 1 in the dtype of the logits, or None.

    Returns
    -------
    tuple of Tensor
        Each (N, C).
    """
    common, size = _SoftmaxSums.apply(logits, labels, mask, squared)  # type: ignore[no-untyped-call]
    return common, size


def softmax_costs(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of each pixel, (N, P), from logits (N, C, P) and labels (N, P)."""
    costs: Tensor = _SoftmaxCosts.apply(logits, labels)  # type: ignore[no-untyped-call]
    return costs


class _SoftmaxSums(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, labels: Tensor, mask: Tensor | None, squared: bool) -> tuple[Tensor, Tensor]:
        common, size = logits.new_zeros(logits.shape[:2]), logits.new_zeros(logits.shape[:2])
        for n, at in _blocks(logits):
            p = torch.softmax(logits[n, :, at], 0)
            hit = p.gather(0, labels[n : n + 1, at])[0]
            common[n].scatter_add_(0, labels[n, at], hit if mask is None else hit * mask[n, at])
            if squared:
                p = p.square_()
            size[n] += p.sum(1) if mask is None else p @ mask[n, at]
        ctx.save_for_backward(logits, labels, mask)
        ctx.squared = squared
        return common, size

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_common: Tensor, d_size: Tensor) -> tuple[Tensor, None, None, None]:
        logits, labels, mask = ctx.saved_tensors
        grad = torch.empty_like(logits, memory_format=torch.contiguous_format)
        for n, at in _blocks(logits):
            p = torch.softmax(logits[n, :, at], 0)
            true = labels[n : n + 1, at]
            # With g the gradient in p (d_size, times 2 p, everywhere; d_common at the true class besides), that in the
            # logits is p (g - sum of g p).
            everywhere = p * (2 * d_size[n].unsqueeze(1)) if ctx.squared else d_size[n].unsqueeze(1)
            at_true = d_common[n][true] * p.gather(0, true)
            mean = (everywhere * p).sum(0) if ctx.squared else d_size[n] @ p
            part = grad[n, :, at]
            torch.sub(everywhere, mean + at_true[0], out=part).mul_(p).scatter_add_(0, true, at_true)
            if mask is not None:
                part *= mask[n, at]
        return grad, None, None, None


class _SoftmaxCosts(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, labels: Tensor) -> Tensor:
        costs = torch.empty_like(logits[:, 0], memory_format=torch.contiguous_format)
        for n, at in _blocks(logits):
            log_p = torch.log_softmax(logits[n, :, at], 0)
            torch.neg(log_p.gather(0, labels[n : n + 1, at])[0], out=costs[n, at])
        ctx.save_for_backward(logits, labels)
        return costs

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_costs: Tensor) -> tuple[Tensor, None]:
        logits, labels = ctx.saved_tensors
        grad = torch.empty_like(logits, memory_format=torch.contiguous_format)
        minus = logits.new_full((1, 1), -1.0)
        for n, at in _blocks(logits):
            p = torch.softmax(logits[n, :, at], 0)
            true = labels[n : n + 1, at]
            p.scatter_add_(0, true, minus.expand_as(true))
            torch.mul(p, d_costs[n, at], out=grad[n, :, at])
        return grad, None
