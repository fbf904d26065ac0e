"""Region proposal network (Ren et al., NeurIPS 2015) on a feature pyramid; state-dict names are torchvision's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from segeval_baselines.detection.assignment import assign, sample
from segeval_baselines.layers.blocks import Size, size_of
from segeval_baselines.ops.anchors import cell_anchors, grid_anchors
from segeval_baselines.ops.boxes import clip_boxes, decode_boxes, encode_boxes
from segeval_baselines.ops.nms import batched_nms

_SMALLEST = 1e-3  # pixels a side; smaller boxes are nothing


@dataclass(frozen=True)
class ProposalRule:
    """How anchors become proposals, and which of them a step learns from.

    Parameters
    ----------
    before, after
        Best anchors of each level that enter non-maximum suppression, and proposals of an image that leave it: while
        training, and in eval mode.
    nms
        IoU above which the lower of two proposals of a level is dropped.
    low, high
        An anchor is an object's from an IoU of `high` on, background below `low`.
    sampled, share
        Anchors of an image that a step learns from, and the largest share of objects' anchors among them.
    """

    before: tuple[int, int] = (2000, 1000)
    after: tuple[int, int] = (2000, 1000)
    nms: float = 0.7
    low: float = 0.3
    high: float = 0.7
    sampled: int = 256
    share: float = 0.5


class AnchorTargets(NamedTuple):
    """What the RPN is to say of all anchors of a batch, one image after the other.

    Attributes
    ----------
    labels
        (N A,) 1 object, 0 background, -1 not sampled.
    deltas
        (N A, 4) encoded boxes of the objects; rows of others are not read.
    """

    labels: Tensor
    deltas: Tensor


class RPNHead(nn.Module):
    """3x3 convolutions, then a score and four deltas for each anchor of each place.

    Parameters
    ----------
    width
        Channels of the pyramid.
    anchors
        Of a place.
    convolutions
        3x3 ones before the outputs; 1 in the paper.
    """

    def __init__(self, width: int, anchors: int, convolutions: int = 1) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            *(nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.ReLU(inplace=True)) for _ in range(convolutions))
        )
        self.cls_logits = nn.Conv2d(width, anchors, 1)
        self.bbox_pred = nn.Conv2d(width, 4 * anchors, 1)
        for part in self.modules():
            if isinstance(part, nn.Conv2d):
                nn.init.normal_(part.weight, std=0.01)
                nn.init.zeros_(part.bias)  # type: ignore[arg-type]

    def forward(self, maps: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """For each level scores (N, h w anchors) and deltas (N, h w anchors, 4) in float32, place by place."""
        scores, deltas = [], []
        for x in maps:
            y = self.conv(x)
            scores.append(self.cls_logits(y).permute(0, 2, 3, 1).flatten(1).float())
            deltas.append(self.bbox_pred(y).permute(0, 2, 3, 1).reshape(x.shape[0], -1, 4).float())
        return scores, deltas


class RPN(nn.Module):
    """Anchors, their scores, and the proposals that they become.

    Parameters
    ----------
    width
        Channels of the pyramid.
    sizes
        Sides of the anchors of each level, in pixels, from fine to coarse.
    ratios
        Height over width of the anchors of every level.
    rule
        How anchors become proposals.
    convolutions
        Of the head.
    """

    def __init__(
        self,
        width: int,
        sizes: Sequence[Sequence[float]],
        ratios: Sequence[float],
        rule: ProposalRule,
        convolutions: int = 1,
    ) -> None:
        super().__init__()
        self.cells = [cell_anchors(level, ratios) for level in sizes]
        self.rule = rule
        self.head = RPNHead(width, len(sizes[0]) * len(ratios), convolutions)

    def anchors(self, maps: Sequence[Tensor], size: Size) -> list[Tensor]:
        """(h w anchors, 4) for each level of a padded image of a size."""
        places = [size_of(x) for x in maps]
        strides = [(size[0] // height, size[1] // width) for height, width in places]
        cells = [cell.to(maps[0].device) for cell in self.cells]
        return grid_anchors(places, strides, cells)

    @torch.no_grad()
    def proposals(
        self, anchors: Sequence[Tensor], scores: Sequence[Tensor], deltas: Sequence[Tensor], size: Size
    ) -> list[Tensor]:
        """(R, 4) boxes for each image of a size (without padding), best first."""
        before = self.rule.before[0 if self.training else 1]
        kept_scores, kept_boxes, levels = [], [], []
        for level, (cells, score, delta) in enumerate(zip(anchors, scores, deltas, strict=True)):
            top, place = score.topk(min(before, score.shape[1]), dim=1)
            chosen = delta.gather(1, place[..., None].expand(-1, -1, 4))
            boxes = decode_boxes(chosen.reshape(-1, 4), cells[place].reshape(-1, 4))
            kept_scores.append(top)
            kept_boxes.append(clip_boxes(boxes, size).view(*top.shape, 4))
            levels.append(torch.full_like(place[0], level))
        score, box, group = torch.cat(kept_scores, 1), torch.cat(kept_boxes, 1), torch.cat(levels)
        return [self._suppressed(box[n], score[n], group) for n in range(score.shape[0])]

    def _suppressed(self, boxes: Tensor, scores: Tensor, levels: Tensor) -> Tensor:
        sides = boxes[:, 2:] - boxes[:, :2]
        large = (sides >= _SMALLEST).all(dim=1) & scores.isfinite()
        boxes, scores, levels = boxes[large], scores[large].sigmoid(), levels[large]
        kept = batched_nms(boxes, scores, levels, self.rule.nms)
        return boxes[kept[: self.rule.after[0 if self.training else 1]]]

    @torch.no_grad()
    def targets(self, anchors: Sequence[Tensor], objects: Sequence[Tensor]) -> AnchorTargets:
        """What to learn from the objects' boxes (G, 4) of each image."""
        rule, every = self.rule, torch.cat(list(anchors))
        labels, deltas = [], []
        for boxes in objects:
            assigned = assign(every, boxes, rule.low, rule.high, rescue=True)
            chosen = sample(assigned, rule.sampled, rule.share)
            labels.append(torch.where(chosen, (assigned >= 0).long(), -1))
            if boxes.shape[0] == 0:
                deltas.append(torch.zeros_like(every))
            else:
                deltas.append(encode_boxes(every, boxes[assigned.clamp_min(0)]))
        return AnchorTargets(torch.cat(labels), torch.cat(deltas))


__all__ = ["RPN", "AnchorTargets", "ProposalRule", "RPNHead"]
