"""Task losses: Mask R-CNN's terms with their normalisers, and the panoptic total.

Sampling anchors and regions is the detector's work; these functions take what was sampled.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segeval.errors import SegevalError


def _rows(name: str, values: Tensor, labels: Tensor) -> Tensor:
    if values.shape[0] != labels.shape[0]:
        raise SegevalError(f"{name} has {values.shape[0]} rows for {labels.shape[0]} labels")
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values


def smooth_l1(difference: Tensor, beta: float) -> Tensor:
    r"""Smooth L1 of each value: :math:`x^2 / 2\beta` under beta, :math:`|x| - \beta/2` above; beta 0 is plain L1."""
    size = difference.abs()
    if beta == 0:
        return size
    return torch.where(size < beta, difference.square() / (2 * beta), size - beta / 2)


def region_class(class_logits: Tensor, labels: Tensor) -> Tensor:
    r"""Class term :math:`L_{cls}`: mean cross-entropy over all sampled regions, background (0) included.

    Parameters
    ----------
    class_logits
        (R, K + 1).
    labels
        (R,) int64, 0 for background.
    """
    logits = _rows("class_logits", class_logits, labels)
    return F.cross_entropy(logits, labels, reduction="sum") / max(labels.numel(), 1)


def region_box(box_deltas: Tensor, labels: Tensor, box_targets: Tensor, *, beta: float = 1.0) -> Tensor:
    r"""Box term :math:`L_{box}`: smooth L1 of the true class's deltas, summed over positives, divided by all sampled
    regions.

    Dividing by R and not by the positives keeps the weight of one box the same whatever the share of positives.

    Parameters
    ----------
    box_deltas
        (R, 4 K) for classes 1..K, or (R, 4) for class-agnostic boxes.
    labels
        (R,) int64, 0 for background.
    box_targets
        (R, 4) encoded deltas; rows of background are not read.
    """
    deltas = _rows("box_deltas", box_deltas, labels)
    positive = torch.nonzero(labels > 0).squeeze(1)
    per_class = deltas.reshape(deltas.shape[0], deltas.shape[1] // 4, 4)
    column = labels[positive] - 1 if per_class.shape[1] > 1 else torch.zeros_like(positive)
    difference = per_class[positive, column] - box_targets[positive].to(deltas.dtype)
    return smooth_l1(difference, beta).sum() / max(labels.numel(), 1)


def region_mask(mask_logits: Tensor, labels: Tensor, mask_targets: Tensor) -> Tensor:
    r"""Mask term :math:`L_{mask}`: mean binary cross-entropy of the true class's map over positives and their m x m
    pixels.

    The other classes' maps get no gradient, so masks do not compete across classes. Without positives the value is 0.

    Parameters
    ----------
    mask_logits
        (P, K, m, m) for classes 1..K, or (P, 1, m, m) for class-agnostic masks; positives only.
    labels
        (P,) int64 in 1..K.
    mask_targets
        (P, m, m) in [0, 1].
    """
    logits = _rows("mask_logits", mask_logits, labels)
    if labels.numel() == 0:
        return logits.sum() * 0
    column = labels - 1 if logits.shape[1] > 1 else torch.zeros_like(labels)
    chosen = logits[torch.arange(labels.numel(), device=labels.device), column]
    return F.binary_cross_entropy_with_logits(chosen, mask_targets.to(chosen.dtype))


def rpn_objectness(objectness: Tensor, labels: Tensor) -> Tensor:
    """RPN objectness: mean binary cross-entropy over the sampled anchors.

    Parameters
    ----------
    objectness
        (A,) logits of all anchors.
    labels
        (A,) 1 object, 0 background, -1 not sampled.
    """
    logits = _rows("objectness", objectness, labels)
    sampled = labels >= 0
    costs = F.binary_cross_entropy_with_logits(logits, labels.clamp_min(0).to(logits.dtype), reduction="none")
    return torch.where(sampled, costs, torch.zeros_like(costs)).sum() / sampled.sum().clamp_min(1)


def rpn_box(anchor_deltas: Tensor, labels: Tensor, anchor_targets: Tensor, *, beta: float = 1 / 9) -> Tensor:
    """RPN box term: smooth L1 summed over positive anchors, divided by the sampled anchors.

    Parameters
    ----------
    anchor_deltas, anchor_targets
        (A, 4).
    labels
        (A,) 1 object, 0 background, -1 not sampled.
    """
    deltas = _rows("anchor_deltas", anchor_deltas, labels)
    difference = deltas[labels == 1] - anchor_targets[labels == 1].to(deltas.dtype)
    return smooth_l1(difference, beta).sum() / (labels >= 0).sum().clamp_min(1)


def mask_rcnn(
    *,
    class_logits: Tensor,
    labels: Tensor,
    box_deltas: Tensor,
    box_targets: Tensor,
    mask_logits: Tensor,
    mask_labels: Tensor,
    mask_targets: Tensor,
    objectness: Tensor | None = None,
    anchor_labels: Tensor | None = None,
    anchor_deltas: Tensor | None = None,
    anchor_targets: Tensor | None = None,
    box_beta: float = 1.0,
    rpn_beta: float = 1 / 9,
) -> dict[str, Tensor]:
    """All terms of Mask R-CNN: class, box, mask, and with the RPN's outputs objectness and rpn_box.

    Parameters are those of the five functions of the terms.

    Returns
    -------
    dict
        The terms under "class", "box", "mask", "objectness", "rpn_box", and their sum under "total".

    References
    ----------
    He, Gkioxari, Dollár, Girshick, "Mask R-CNN", ICCV 2017; Ren et al., "Faster R-CNN", NeurIPS 2015.
    """
    terms = {
        "class": region_class(class_logits, labels),
        "box": region_box(box_deltas, labels, box_targets, beta=box_beta),
        "mask": region_mask(mask_logits, mask_labels, mask_targets),
    }
    rpn = (objectness, anchor_labels, anchor_deltas, anchor_targets)
    if any(part is not None for part in rpn):
        if objectness is None or anchor_labels is None or anchor_deltas is None or anchor_targets is None:
            raise SegevalError(
                "the RPN terms need objectness, anchor_labels, anchor_deltas and anchor_targets, all four"
            )
        terms["objectness"] = rpn_objectness(objectness, anchor_labels)
        terms["rpn_box"] = rpn_box(anchor_deltas, anchor_labels, anchor_targets, beta=rpn_beta)
    terms["total"] = torch.stack(list(terms.values())).sum()
    return terms


def panoptic(
    instance: Mapping[str, Tensor], semantic: Tensor, *, instance_weight: float = 1.0, semantic_weight: float = 0.5
) -> Tensor:
    r"""Panoptic total, :math:`L = \lambda_i (L_{cls} + L_{bbox} + L_{mask}) + \lambda_s L_s`, plus the RPN terms if
    given.

    Parameters
    ----------
    instance
        Terms of :func:`mask_rcnn`; "total" is not read. The RPN terms are added with weight 1, as in training code.
    semantic
        :math:`L_s`, the cross-entropy over labelled pixels.

    References
    ----------
    Kirillov, Girshick, He, Dollár, "Panoptic feature pyramid networks", CVPR 2019.
    """
    total = instance_weight * (instance["class"] + instance["box"] + instance["mask"]) + semantic_weight * semantic
    for name in ("objectness", "rpn_box"):
        if name in instance:
            total = total + instance[name]
    return total


class MaskRCNNLoss(nn.Module):
    """Module of :func:`mask_rcnn`: options at construction, tensors by name at the call, a dict of terms back."""

    def __init__(self, *, box_beta: float = 1.0, rpn_beta: float = 1 / 9) -> None:
        super().__init__()
        self.box_beta = box_beta
        self.rpn_beta = rpn_beta

    def forward(self, **tensors: Tensor) -> dict[str, Tensor]:
        """The terms and their total; see :func:`mask_rcnn` for the names."""
        return mask_rcnn(box_beta=self.box_beta, rpn_beta=self.rpn_beta, **tensors)

    def extra_repr(self) -> str:
        """Options, for printing."""
        return f"box_beta={self.box_beta}, rpn_beta={self.rpn_beta}"


class PanopticLoss(nn.Module):
    """Module of :func:`panoptic`: call it with the terms of Mask R-CNN and the semantic loss."""

    def __init__(self, *, instance_weight: float = 1.0, semantic_weight: float = 0.5) -> None:
        super().__init__()
        self.instance_weight = instance_weight
        self.semantic_weight = semantic_weight

    def forward(self, instance: Mapping[str, Tensor], semantic: Tensor) -> Tensor:
        """The scalar total."""
        return panoptic(instance, semantic, instance_weight=self.instance_weight, semantic_weight=self.semantic_weight)

    def extra_repr(self) -> str:
        """Options, for printing."""
        return f"instance_weight={self.instance_weight}, semantic_weight={self.semantic_weight}"
