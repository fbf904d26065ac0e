"""Panoptic FPN (Kirillov, Girshick, He, Dollár, CVPR 2019): Mask R-CNN and a semantic branch on one feature pyramid."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segeval.errors import SegevalError
from segeval.losses import PanopticLoss
from segeval_baselines.data.samples import VOID
from segeval_baselines.detection.roi_heads import Detections
from segeval_baselines.layers.blocks import size_of
from segeval_baselines.layers.fpn import STRIDES
from segeval_baselines.networks.mask_rcnn import MaskRCNN
from segeval_baselines.ops.paste import paste_masks

if TYPE_CHECKING:
    from segeval_baselines.detection.targets import DetectionTarget

_PASTED = 32  # masks of an image's size that are in memory at a time


class PanopticLogits(NamedTuple):
    """What the network finds in one image.

    Attributes
    ----------
    things
        As Mask R-CNN finds them.
    stuff
        (1 + S, h, w) logits: all things together, then each class of stuff.
    """

    things: Detections
    stuff: Tensor


@dataclass(frozen=True)
class MergingRule:
    """How detections and stuff become one map without overlaps (the paper's section 3.3).

    Parameters
    ----------
    score
        Detections below it are dropped.
    overlap
        A detection of which more than this share is taken by better ones is dropped; else it gets its free pixels.
    stuff_area
        Stuff of fewer pixels is dropped, in an image of 640 x 480; in others in proportion to their area.
    """

    score: float = 0.5
    overlap: float = 0.5
    stuff_area: float = 4096.0

    def least_stuff(self, size: tuple[int, int]) -> float:
        """Pixels that stuff needs in an image of a size."""
        return self.stuff_area * size[0] * size[1] / (640 * 480)


class SemanticBranch(nn.Module):
    """From each map 3x3, GroupNorm, ReLU and doubling until stride 4 is reached; the sum; 1x1; bilinear to the image.

    Parameters
    ----------
    inputs
        Channels of the pyramid.
    inner, groups
        Channels of the branch, and groups of their normalisation.
    outputs
        Channels of the logits.
    """

    def __init__(self, inputs: int, inner: int, groups: int, outputs: int) -> None:
        super().__init__()
        self.stages = nn.ModuleList(self._stages(inputs, inner, groups, stride) for stride in STRIDES)
        self.predictor = nn.Conv2d(inner, outputs, 1)
        for part in self.modules():
            if isinstance(part, nn.Conv2d):
                nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")
        nn.init.normal_(self.predictor.weight, std=0.01)
        nn.init.zeros_(self.predictor.bias)  # type: ignore[arg-type]

    @staticmethod
    def _stages(inputs: int, inner: int, groups: int, stride: int) -> nn.Sequential:
        doublings = int(math.log2(stride / STRIDES[0]))
        parts: list[nn.Module] = []
        for stage in range(max(1, doublings)):
            conv = nn.Conv2d(inner if stage else inputs, inner, 3, padding=1, bias=False)
            parts += [conv, nn.GroupNorm(groups, inner), nn.ReLU(inplace=True)]
            if stage < doublings:
                parts.append(nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False))
        return nn.Sequential(*parts)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """P2 to P5 to logits (N, outputs, 4 h, 4 w) of P2's height and width, in float32."""
        total = sum(stage(x) for stage, x in zip(self.stages, maps, strict=True))
        logits = self.predictor(total).float()
        return F.interpolate(logits, scale_factor=float(STRIDES[0]), mode="bilinear", align_corners=False)


class PanopticFPN(MaskRCNN):
    """Mask R-CNN with a semantic branch; in eval mode `forward` returns a `PanopticLogits` for each image.

    Parameters
    ----------
    things, stuff
        How many classes of each.
    semantic_width, semantic_groups
        Channels of the semantic branch, and groups of its normalisation.
    instance_weight, semantic_weight
        Factors on the losses of Mask R-CNN's heads and of the semantic branch; the RPN's have 1.
    merging
        Fields of `MergingRule` in place of their defaults.
    **options
        Of `MaskRCNN`.
    """

    def __init__(
        self,
        things: int,
        stuff: int,
        *,
        semantic_width: int = 128,
        semantic_groups: int = 32,
        instance_weight: float = 1.0,
        semantic_weight: float = 0.5,
        merging: dict[str, float] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(things, **options)
        pyramid = self.backbone.fpn.layer_blocks[0][0].out_channels  # type: ignore[index]
        self.semantic = SemanticBranch(int(pyramid), semantic_width, semantic_groups, 1 + stuff)
        self.total = PanopticLoss(instance_weight=instance_weight, semantic_weight=semantic_weight)
        self.merging = MergingRule(**(merging or {}))

    def forward(  # type: ignore[override]
        self, images: Tensor, targets: Sequence[DetectionTarget] | None = None, semantic: Tensor | None = None
    ) -> dict[str, Tensor] | list[PanopticLogits]:
        """Terms of the loss of images (N, 3, h, w) with targets and semantic labels (N, h, w), or what is found.

        Semantic labels are 0 for things, 1 to S for stuff, 255 for void.

        Raises
        ------
        SegevalError
            In training mode without targets or labels.
        """
        maps, size = self.maps(images), size_of(images)
        logits = self.semantic(maps)[..., : size[0], : size[1]]
        if not self.training:
            found = self.detections(maps, size)
            return [PanopticLogits(things, stuff) for things, stuff in zip(found, logits, strict=True)]
        if targets is None or semantic is None:
            raise SegevalError("Panoptic FPN learns from objects and stuff", remedy="give both, or call eval() first")
        terms = self.instance_terms(maps, size, targets)
        terms["semantic"] = semantic_term(logits, semantic)
        terms["total"] = self.total(terms, terms["semantic"])
        return terms

    def all_regions(self, images: Tensor) -> Tensor:
        """As Mask R-CNN's, with the semantic branch."""
        self.semantic(self.maps(images))
        return super().all_regions(images)


def semantic_term(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy over labelled pixels; 0, with gradients of 0, where none is."""
    total = F.cross_entropy(logits, labels, ignore_index=VOID, reduction="sum")
    return total / (labels != VOID).sum().clamp_min(1)


def merge(
    things: Detections, stuff: Tensor, size: tuple[int, int], rule: MergingRule
) -> tuple[Tensor, list[tuple[int, int]]]:
    """One map of things and stuff without overlaps.

    Parameters
    ----------
    things
        Detections, best first, in pixels of the image.
    stuff
        (H, W) int64 as `PanopticFPN` numbers its semantic channels: 0 for things, 1 to S for stuff.
    size
        Height and width of the image.
    rule
        What is dropped.

    Returns
    -------
    ids
        (H, W) int64: 0 where nothing is, else positions in `segments` plus 1.
    segments
        For each id (label of the things from 1, 0) or (0, label of the stuff from 1).
    """
    ids = torch.zeros(size, dtype=torch.int64, device=stuff.device)
    segments: list[tuple[int, int]] = []
    count = int((things.scores >= rule.score).sum())
    order = torch.argsort(things.scores, descending=True, stable=True)[:count]
    for part in torch.split(order, _PASTED):
        masks = paste_masks(things.masks[part], things.boxes[part], size)
        for mask, label in zip(masks, things.labels[part].tolist(), strict=True):
            free = mask & (ids == 0)
            area, left = int(mask.sum()), int(free.sum())
            if left == 0 or area - left > rule.overlap * area:
                continue
            segments.append((label, 0))
            ids[free] = len(segments)
    least = rule.least_stuff(size)
    for label in torch.bincount(stuff.flatten()).nonzero().flatten().tolist():
        free = (stuff == label) & (ids == 0)
        area = int(free.sum())
        if label and area and area >= least:
            segments.append((0, label))
            ids[free] = len(segments)
    return ids, segments
