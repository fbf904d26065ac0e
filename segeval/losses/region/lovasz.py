"""Lovász-softmax and Lovász hinge: the convex closure of 1 - Jaccard over sorted errors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from segeval.losses.encoding import (
    Classes,
    Encoded,
    Reduction,
    counted_classes,
    encode,
    full_precision,
    reduce_classes,
)

Weight = Tensor | Sequence[float]


def _slopes(truth: Tensor, dtype: torch.dtype) -> Tensor:
    r"""Slopes of the Lovász extension of 1 - J for truths (..., P) sorted by falling error.

    The k-th slope is :math:`J_{k-1} - J_k`. Taken as a difference of two Jaccard values near 1 it loses most of its
    digits in float32 for a megapixel; the closed form does not: 1/U for a missed pixel of the class, I/(U (U - 1))
    for a false one.
    """
    count = truth.to(torch.int32).cumsum(-1, dtype=torch.int32)
    rank = torch.arange(1, truth.shape[-1] + 1, device=truth.device, dtype=torch.int32)
    union = (count[..., -1:] - count).add_(rank)
    left = (count[..., -1:] - count).to(dtype)
    missed = union.to(dtype).reciprocal_()
    # An empty truth has U - 1 = 0 at its first pixel, which then costs everything.
    false = left.mul_(missed).div_((union - 1).clamp_min_(1).to(dtype)).masked_fill_(union == 1, 1.0)
    return torch.where(truth, missed, false)


def _order(errors: Tensor) -> Tensor:
    """Indices that sort errors (G, P) downwards; equal errors in any order, as the value does not depend on it."""
    if errors.device.type == "cpu" and not torch.compiler.is_compiling():
        # numpy's vectorised sort takes a fraction of the time of torch's stable one.
        return torch.from_numpy(np.argsort(-errors.numpy(), axis=-1))
    return torch.argsort(errors, -1, descending=True)


def _extension(errors: Tensor, truth: Tensor) -> Tensor:
    """Lovász extension at errors (G, P) for boolean truths (G, P): (G,)."""
    with torch.no_grad():
        order = _order(errors.detach())
        slopes = _slopes(truth.gather(-1, order), errors.dtype)
        slopes = torch.empty_like(slopes).scatter_(-1, order, slopes)
    return (errors * slopes).sum(-1)


def _per_class(encoded: Encoded, errors_of: str, classes: Classes, per_image: bool) -> tuple[Tensor, Tensor]:
    """Values and counted classes, both (G, C); one class at a time, since sorting is what takes the memory."""
    N, C = encoded.logits.shape[:2]
    groups = N if per_image else 1
    scores = encoded.probabilities() if errors_of == "softmax" else encoded.logits
    labels = encoded.labels if encoded.soft is None else _hard(encoded)
    assert labels is not None
    mask = None if encoded.valid is None else encoded.valid
    pixels = encoded.pixels().reshape(groups, -1).sum(1)
    truths = [labels == (1 if encoded.binary else c) for c in range(C)]
    if mask is not None:
        truths = [truth & mask for truth in truths]
    sizes = torch.stack([truth.reshape(groups, -1).sum(1) for truth in truths], 1)
    counted = counted_classes(sizes, pixels, classes, encoded.binary)
    values = []
    for c, truth in enumerate(truths):
        # A class that does not count needs no sort; a compiled graph cannot ask.
        if not torch.compiler.is_compiling() and not bool(counted[:, c].any()):
            # Zeros that belong to the graph, so that a batch without a class can still be called backward.
            values.append(scores[:, c].reshape(groups, -1)[:, 0] * 0)
            continue
        s, t = scores[:, c].reshape(groups, -1), truth.reshape(groups, -1)
        if errors_of == "softmax":
            errors = torch.where(t, 1 - s, s)
        else:
            errors = (1 - torch.where(t, s, -s)).relu()
            if mask is not None:
                errors = errors * mask.reshape(groups, -1)
        values.append(_extension(errors, t))
    return torch.stack(values, 1), counted


def _hard(encoded: Encoded) -> Tensor:
    from segeval.errors import SegevalError

    truth = encoded.truth()
    if not bool(((truth == 0) | (truth == 1)).all()) or bool((truth.sum(1) > 1).any()):
        raise SegevalError("the Lovász losses rank pixels of a set", remedy="give class indices, not soft labels")
    return truth[:, 0].long() if encoded.binary else truth.argmax(1)


@full_precision
def lovasz_softmax(
    logits: Tensor,
    target: Tensor,
    *,
    ignore_index: int | None = None,
    weight: Weight | None = None,
    classes: Classes = "present",
    per_image: bool = False,
    reduction: Reduction = "mean",
) -> Tensor:
    r"""Lovász-softmax, the Lovász extension of :math:`1 - J_c` at the errors :math:`|y - p|`, mean over classes.

    On hard 0/1 predictions it is 1 - mean Jaccard. A binary problem takes the sigmoid. Labels must be hard.

    References
    ----------
    Berman, Triki, Blaschko, "The Lovász-softmax loss", CVPR 2018.
    """
    encoded = encode(logits, target, ignore_index)
    values, counted = _per_class(encoded, "softmax", classes, per_image)
    return reduce_classes(values, counted, reduction, weight=weight, per_image=per_image)


@full_precision
def lovasz_hinge(
    logits: Tensor,
    target: Tensor,
    *,
    ignore_index: int | None = None,
    weight: Weight | None = None,
    classes: Classes = "present",
    per_image: bool = False,
    reduction: Reduction = "mean",
) -> Tensor:
    r"""Lovász hinge, the Lovász extension of :math:`1 - J` at the hinge errors :math:`\max(0, 1 - z (2y - 1))`.

    The paper's case is binary; with C channels each is a class against the rest.

    References
    ----------
    Yu, Blaschko, "Learning submodular losses with the Lovász hinge", ICML 2015; Berman et al., CVPR 2018.
    """
    encoded = encode(logits, target, ignore_index)
    values, counted = _per_class(encoded, "hinge", classes, per_image)
    return reduce_classes(values, counted, reduction, weight=weight, per_image=per_image)
