"""Greedy non-maximum suppression, exact, without a step of Python (or of the host) per box.

Boxes are taken in blocks by falling score. Inside a block the greedy choice is the only fixed point of "kept unless a
kept box before it overlaps": iterating from "all are kept" settles at least one more box a round, in practice nearly
all of them in three or four. Then the block's kept boxes strike out the later ones in one table of overlaps.
"""

from __future__ import annotations

import torch
from torch import Tensor

from segeval.errors import SegevalError
from segeval_baselines.ops.boxes import box_iou, check_boxes

# Boxes a block: the table of a block against the rest should stay in the cache of a CPU, and fill a GPU.
_BLOCK = {"cpu": 256}
_BLOCK_ELSEWHERE = 1024


def nms(boxes: Tensor, scores: Tensor, threshold: float) -> Tensor:
    """Keep each box that no kept box of higher score overlaps by more than the threshold.

    Parameters
    ----------
    boxes
        (N, 4).
    scores
        (N,). Of equal scores the lower index comes first.
    threshold
        Largest IoU that is let stand. It is compared as a real number with the float IoU, as torchvision's CPU operator
        does: an IoU of 0.3 whose nearest float is above 0.3 counts as more than 0.3.

    Returns
    -------
    Tensor
        Indices of int64, by falling score.

    Raises
    ------
    SegevalError
        If the shapes don't fit.
    """
    return batched_nms(boxes, scores, torch.zeros(len(boxes), dtype=torch.int64, device=boxes.device), threshold)


def batched_nms(boxes: Tensor, scores: Tensor, groups: Tensor, threshold: float) -> Tensor:
    """:func:`nms` within each group (class, level, image); boxes of different groups never meet.

    Parameters
    ----------
    boxes, scores, threshold
        As for :func:`nms`.
    groups
        (N,) of integers.

    Returns
    -------
    Tensor
        Indices of int64, by falling score over all groups; of equal scores the lower index comes first.
    """
    check_boxes(boxes)
    if scores.shape != boxes.shape[:1] or groups.shape != boxes.shape[:1]:
        shapes = f"scores are {tuple(scores.shape)} and groups {tuple(groups.shape)}"
        raise SegevalError(shapes, remedy=f"give one of each for the {len(boxes)} boxes")
    with torch.no_grad():
        rank = torch.sort(scores, stable=True, descending=True).indices
        rank = rank[torch.sort(groups[rank], stable=True).indices]
        sortable = boxes[rank] if boxes.dtype in (torch.float32, torch.float64) else boxes[rank].float()
        kept = rank[_survivors(sortable, groups[rank], _as_float(threshold, sortable))]
        kept = kept.sort().values
        return kept[torch.sort(scores[kept], stable=True, descending=True).indices]


def _as_float(threshold: float, boxes: Tensor) -> float:
    """The largest value of the boxes' type that is not above the threshold: x > it if and only if x > threshold."""
    value = torch.tensor(threshold, dtype=boxes.dtype)
    if float(value) > threshold:
        value = torch.nextafter(value, torch.tensor(-torch.inf, dtype=boxes.dtype))
    return float(value)


def _survivors(boxes: Tensor, groups: Tensor, threshold: float) -> Tensor:
    """Places of the kept boxes, of boxes that are sorted by group and by falling score within it."""
    block = _BLOCK.get(boxes.device.type, _BLOCK_ELSEWHERE)
    pending = torch.arange(len(boxes), device=boxes.device)
    kept = []
    while len(pending):
        head, rest = pending[:block], pending[block:]
        last = groups[head[-1]]
        head = head[_greedy(_overlapping(boxes, groups, head, head, threshold))]
        kept.append(head)
        # Groups are contiguous: only boxes of the block's last group can be struck out beyond it.
        near = int((groups[rest] == last).sum())
        struck = _overlapping(boxes, groups, head, rest[:near], threshold).any(dim=0)
        pending = torch.cat((rest[:near][~struck], rest[near:]))
    return torch.cat(kept) if kept else pending


def _overlapping(boxes: Tensor, groups: Tensor, a: Tensor, b: Tensor, threshold: float) -> Tensor:
    """(A, B): whether two boxes are of one group and overlap by more than the threshold."""
    return (box_iou(boxes[a], boxes[b]) > threshold).logical_and_(groups[a][:, None] == groups[b])


def _greedy(overlapping: Tensor) -> Tensor:
    """The greedy choice (N,) among boxes by falling score, from their table (N, N)."""
    # As float the round is one product of matrices; sums of at most N ones are exact.
    before = overlapping.triu_(diagonal=1).float()
    kept = torch.ones(len(before), device=before.device)
    while True:
        settled = (kept @ before == 0).float()
        if torch.equal(settled, kept):
            return settled.bool()
        kept = settled
