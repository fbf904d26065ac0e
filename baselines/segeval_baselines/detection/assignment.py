"""Which box stands for which object while a detector trains, and which boxes a step looks at.

Everything stays on the device of its inputs, and draws come from torch's generator: the seed of the step decides them.
"""

from __future__ import annotations

import torch
from torch import Tensor

from segeval_baselines.ops.boxes import box_iou

BACKGROUND, NEITHER = -1, -2


def assign(boxes: Tensor, objects: Tensor, low: float, high: float, *, rescue: bool = False) -> Tensor:
    """The object that each box stands for.

    Parameters
    ----------
    boxes
        (A, 4).
    objects
        (G, 4) boxes of the true objects; G may be 0.
    low, high
        A box is an object's from an IoU of `high` on, background below `low`, and neither in between.
    rescue
        Give every object the boxes that overlap it most, however little, if at all (as the RPN does).

    Returns
    -------
    Tensor
        (A,) int64: position of the object, or -1 for background, -2 for neither.
    """
    if objects.shape[0] == 0:
        return torch.full((boxes.shape[0],), BACKGROUND, dtype=torch.int64, device=boxes.device)
    iou = box_iou(objects, boxes)
    best, chosen = iou.max(dim=0)
    found = torch.where(best >= low, torch.full_like(chosen, NEITHER), torch.full_like(chosen, BACKGROUND))
    found = torch.where(best >= high, chosen, found)
    if rescue:
        most = iou.max(dim=1, keepdim=True).values
        # A box without area overlaps nothing: without the second condition it would claim every other box.
        saved = ((iou == most) & (most > 0)).any(dim=0)
        found = torch.where(saved, chosen, found)
    return found


def sample(assigned: Tensor, count: int, share: float) -> Tensor:
    """A random choice of boxes to learn from.

    Parameters
    ----------
    assigned
        (A,) as `assign` returns it.
    count
        How many boxes at most.
    share
        Objects' boxes are at most this share of `count`; background fills the rest.

    Returns
    -------
    Tensor
        (A,) bool, made without waiting for the device.
    """
    draws = torch.rand(assigned.shape, device=assigned.device)
    objects = _first(assigned >= 0, draws, torch.tensor(int(count * share), device=assigned.device))
    return objects | _first(assigned == BACKGROUND, draws, count - objects.sum())


def _first(among: Tensor, draws: Tensor, most: Tensor) -> Tensor:
    """The members with the smallest draws, at most so many."""
    order = draws.masked_fill(~among, 2.0).argsort()
    rank = torch.empty_like(order)
    rank[order] = torch.arange(order.numel(), device=order.device)
    return among & (rank < most)
