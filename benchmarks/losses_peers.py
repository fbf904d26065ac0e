"""Losses as others write them, from their papers' formulas: what the benchmark compares with.

They hold a one-hot truth and probabilities for the whole batch, as the popular libraries do.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def one_hot(logits: Tensor, target: Tensor) -> Tensor:
    """(N, C, *spatial) in the dtype of the logits."""
    return F.one_hot(target, logits.shape[1]).movedim(-1, 1).to(logits.dtype)


def focal(logits: Tensor, target: Tensor) -> Tensor:
    """Focal loss from probabilities and a one-hot truth."""
    log_p = F.log_softmax(logits, 1)
    truth = one_hot(logits, target)
    return -(truth * (1 - log_p.exp()) ** 2 * log_p).sum(1).mean()


def _sums(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    p, y = torch.softmax(logits, 1), one_hot(logits, target)
    axes = [0, *range(2, logits.dim())]
    return (p * y).sum(axes), p.sum(axes), y.sum(axes)


def dice(logits: Tensor, target: Tensor) -> Tensor:
    """Dice over the batch."""
    common, prediction, truth = _sums(logits, target)
    return 1 - ((2 * common + 1) / (prediction + truth + 1)).mean()


def jaccard(logits: Tensor, target: Tensor) -> Tensor:
    """IoU over the batch."""
    common, prediction, truth = _sums(logits, target)
    return 1 - ((common + 1e-5) / (prediction + truth - common + 1e-5)).mean()


def tversky(logits: Tensor, target: Tensor) -> Tensor:
    """Tversky over the batch."""
    common, prediction, truth = _sums(logits, target)
    return 1 - ((common + 1e-5) / (0.3 * prediction + 0.7 * truth + 1e-5)).mean()


def lovasz_softmax(logits: Tensor, target: Tensor) -> Tensor:
    """Lovász-softmax, a sort for each present class and the difference of Jaccard values."""
    p = torch.softmax(logits, 1).movedim(1, -1).reshape(-1, logits.shape[1])
    labels = target.reshape(-1)
    losses = []
    for c in range(logits.shape[1]):
        truth = (labels == c).to(p.dtype)
        if truth.sum() == 0:
            continue
        errors, order = torch.sort((truth - p[:, c]).abs(), descending=True)
        ranked = truth[order]
        total = ranked.sum()
        jaccard_of = 1 - (total - ranked.cumsum(0)) / (total + (1 - ranked).cumsum(0))
        jaccard_of[1:] = jaccard_of[1:] - jaccard_of[:-1]
        losses.append(errors @ jaccard_of)
    return torch.stack(losses).mean()


def boundary_dou(logits: Tensor, target: Tensor) -> Tensor:
    """Boundary DoU, a convolution and three sums for each class."""
    p, y = torch.softmax(logits, 1), one_hot(logits, target)
    kernel = torch.tensor([[0.0, 1, 0], [1, 1, 1], [0, 1, 0]]).view(1, 1, 3, 3)
    losses = []
    for c in range(logits.shape[1]):
        mask, score = y[:, c], p[:, c]
        around = F.conv2d(mask.unsqueeze(1), kernel, padding=1)[:, 0] * mask
        edge = ((around > 0) & (around < 5)).sum()
        size = mask.sum()
        alpha = (2 * (1 - (edge + 1e-5) / (size + 1e-5)) - 1).clamp(max=0.8)
        common, squared, truth = (score * mask).sum(), (score * score).sum(), (mask * mask).sum()
        losses.append((squared + truth - 2 * common + 1e-5) / (squared + truth - (1 + alpha) * common + 1e-5))
    return torch.stack(losses).mean()


def region_mutual_information(logits: Tensor, target: Tensor) -> Tensor:
    """RMI with mean pooling, 3 x 3 neighbourhoods and an explicit inverse, in float64."""
    y, p = one_hot(logits, target), torch.sigmoid(logits)
    cross = F.binary_cross_entropy_with_logits(logits, y, reduction="sum") / target.numel()
    y, p = F.avg_pool2d(y, 3, 3, 1), F.avg_pool2d(p, 3, 3, 1)
    N, C, H, W = y.shape
    pairs = [(i, j) for i in range(3) for j in range(3)]
    y = torch.stack([y[:, :, i : H - 2 + i, j : W - 2 + j].reshape(N, C, -1) for i, j in pairs], 2).double()
    p = torch.stack([p[:, :, i : H - 2 + i, j : W - 2 + j].reshape(N, C, -1) for i, j in pairs], 2).double()
    y, p = y - y.mean(3, keepdim=True), p - p.mean(3, keepdim=True)
    ridge = 5e-4 * torch.eye(9, dtype=torch.float64)
    cov_yy, cov_pp, cov_yp = y @ y.transpose(2, 3), p @ p.transpose(2, 3), y @ p.transpose(2, 3)
    left = cov_yy - cov_yp @ torch.inverse(cov_pp + ridge) @ cov_yp.transpose(2, 3)
    factor: Tensor = torch.linalg.cholesky(left + ridge)
    log_det: Tensor = 2 * factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    return 0.5 * cross + 0.5 * ((0.5 * log_det).mean(0) / 9).sum().float()
