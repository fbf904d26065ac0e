"""Losses that read a prediction as a random quantity: region mutual information and the robust T-loss."""

from __future__ import annotations

import math
from itertools import product
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from segeval.errors import SegevalError
from segeval.losses.encoding import Encoded, Reduction, encode, full_precision

Pooling = Literal["mean", "max", "none"]


@full_precision
def region_mutual_information(
    logits: Tensor,
    target: Tensor,
    *,
    radius: int = 3,
    pooling: Pooling = "mean",
    pool_size: int = 3,
    balance: float = 0.5,
    alpha: float = 5e-4,
    ignore_index: int | None = None,
) -> Tensor:
    r"""Region mutual information, :math:`\lambda\,\mathrm{BCE} + (1-\lambda)\,\frac{1}{2d}\sum_c \log\det(M_c)`.

    Each pixel is the vector of its `radius` x `radius` neighbourhood (d values) in the pooled maps, and :math:`M =
    \Sigma_Y - \Sigma_{YP}(\Sigma_P + \alpha I)^{-1}\Sigma_{PY} + \alpha I` bounds the entropy of the truth given the
    prediction. Sigmoid probabilities, one map a class; the second term is the mean over images, and its minimum is
    :math:`\frac12 \log\alpha` for each class, so the loss is negative near the optimum. BCE sums the classes and
    averages the pixels. All of it is computed in float64.

    Parameters
    ----------
    radius
        Side of the neighbourhood. Pooled maps smaller than it are padded with zeros.
    pooling, pool_size
        How truth and probabilities are shrunk first, by a factor of `pool_size`.
    balance
        lambda.
    alpha
        Regulariser of both covariances.

    References
    ----------
    Zhao, Wang, Yang, Cai, "Region mutual information loss for semantic segmentation", NeurIPS 2019.
    """
    encoded = encode(logits, target, ignore_index)
    dtype = encoded.logits.dtype
    pixels = encoded.pixels()
    mask = encoded.mask().unsqueeze(1)
    truth = encoded.truth()
    costs = F.binary_cross_entropy_with_logits(encoded.logits, truth, reduction="none") * mask
    cross = costs.sum() / pixels.sum().clamp_min(1)
    p = torch.sigmoid(encoded.logits) * mask
    y_vectors = _neighbourhoods(_pool(truth, pooling, pool_size), radius)
    p_vectors = _neighbourhoods(_pool(p, pooling, pool_size), radius)
    d = y_vectors.shape[2]
    identity = alpha * torch.eye(d, dtype=torch.float64, device=p.device)
    yy, yp, pp = _covariances(y_vectors, p_vectors)
    explained = yp @ torch.linalg.solve(pp + identity, yp.transpose(-1, -2))
    posterior = yy - explained + identity
    posterior = (posterior + posterior.transpose(-1, -2)) / 2
    factor: Tensor = torch.linalg.cholesky_ex(posterior).L
    # Half the log-determinant is the sum of the logs of the factor's diagonal.
    entropy: Tensor = factor.diagonal(dim1=-2, dim2=-1).clamp_min(math.sqrt(alpha) * 1e-3).log().sum(-1) / d
    some = (pixels > 0).to(entropy.dtype)
    information = (entropy.sum(1) * some).sum() / some.sum().clamp_min(1)
    return (balance * cross.double() + (1 - balance) * information).to(dtype)


def _pool(maps: Tensor, pooling: Pooling, size: int) -> Tensor:
    if pooling == "none" or size == 1:
        return maps
    if pooling not in ("mean", "max"):
        raise SegevalError(f"pooling is {pooling!r}", remedy='use "mean", "max" or "none"')
    spatial = maps.dim() - 2
    if spatial not in (2, 3):
        raise SegevalError(f"pooling of {spatial} axes", remedy='use images, volumes, or pooling="none"')
    if pooling == "max":
        largest: Tensor = (F.max_pool2d if spatial == 2 else F.max_pool3d)(maps, size, size, size // 2)
        return largest
    average = F.avg_pool2d if spatial == 2 else F.avg_pool3d
    return average(maps, size, size, size // 2)


def _neighbourhoods(maps: Tensor, radius: int) -> Tensor:
    """Vectors of all `radius`-wide windows: (N, C, radius**D, windows), float64, centred over the windows."""
    short = [max(0, radius - size) for size in maps.shape[2:]]
    if any(short):
        maps = F.pad(maps, [side for size in reversed(short) for side in (0, size)])
    sizes = [size - radius + 1 for size in maps.shape[2:]]
    windows = []
    for offset in product(range(radius), repeat=maps.dim() - 2):
        part = maps
        for axis, (start, size) in enumerate(zip(offset, sizes, strict=True)):
            part = part.narrow(axis + 2, start, size)
        windows.append(part.flatten(2))
    vectors = torch.stack(windows, 2).double()
    return vectors - vectors.mean(-1, keepdim=True)


def _covariances(y: Tensor, p: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Scatter matrices of the centred vectors (sums, not means, as in the paper's code)."""
    return y @ y.transpose(-1, -2), y @ p.transpose(-1, -2), p @ p.transpose(-1, -2)


@full_precision
def t_loss(
    logits: Tensor,
    target: Tensor,
    *,
    nu: Tensor | float = 1.0,
    log_precision: Tensor | float = 0.0,
    ignore_index: int | None = None,
    reduction: Reduction = "mean",
) -> Tensor:
    r"""Robust T-loss: the negative log-likelihood of a multivariate Student-t on the errors :math:`\delta = p - y`.

    .. math::
        -\ln\Gamma\tfrac{\nu+D}{2} + \ln\Gamma\tfrac{\nu}{2} + \tfrac12\ln|\Sigma| + \tfrac D2 \ln(\pi\nu)
        + \tfrac{\nu+D}{2} \ln\bigl(1 + \delta^T\Sigma^{-1}\delta/\nu\bigr)

    for each image, with D its number of values that count (classes times pixels). The value grows with D and may be
    negative; its smallest value over p is at p = y. Large errors pull with a force that falls as 1/error, so wrong
    labels are tolerated. Probabilities are softmax, or sigmoid for one channel.

    Parameters
    ----------
    nu
        Degrees of freedom, > 0: learn it with :class:`segeval.losses.TLoss`.
    log_precision
        Logs of the diagonal of :math:`\Sigma^{-1}`: a scalar, or a tensor that broadcasts over (C, *spatial).
    reduction
        Over images: "mean" of those with a pixel that counts, "sum", or "none" for (N,).

    References
    ----------
    González-Jiménez et al., "Robust T-loss for medical image segmentation", MICCAI 2023.
    """
    encoded = encode(logits, target, ignore_index)
    return _t_of(encoded, nu, log_precision, reduction)


def _t_of(encoded: Encoded, nu: Tensor | float, log_precision: Tensor | float, reduction: Reduction) -> Tensor:
    errors = encoded.probabilities() - encoded.truth()
    like = errors.new_zeros((), dtype=torch.float64)
    # lgamma of a pixel count is of the size of a million: its difference needs float64.
    nu, precision = (torch.as_tensor(v).to(like) for v in (nu, log_precision))
    channels = encoded.logits.shape[1]
    D = encoded.pixels().double() * channels
    if precision.dim() == 0:
        distance = (errors.double().square().flatten(1).sum(1)) * precision.exp()
        log_det = -D * precision
    else:
        distance = (errors.double().square() * precision.exp()).flatten(1).sum(1)
        log_det = -(precision * encoded.mask().unsqueeze(1).double()).expand_as(errors).flatten(1).sum(1)
    values = (
        torch.lgamma(nu / 2)
        - torch.lgamma((nu + D) / 2)
        + log_det / 2
        + D / 2 * torch.log(math.pi * nu)
        + (nu + D) / 2 * torch.log1p(distance / nu)
    )
    some = D > 0
    values = torch.where(some, values, torch.zeros_like(values))
    if reduction == "none":
        return values.to(errors.dtype)
    if reduction == "sum":
        return values.sum().to(errors.dtype)
    if reduction != "mean":
        raise SegevalError(f"reduction is {reduction!r}", remedy='use "mean", "sum" or "none"')
    return (values.sum() / some.sum().clamp_min(1)).to(errors.dtype)
