"""Mask R-CNN (He, Gkioxari, Dollár, Girshick, ICCV 2017) on ResNet and FPN; state-dict names are torchvision's.

An RPN proposes boxes, a box head classifies and refines them, a small FCN draws a 28 x 28 mask in each. The three tasks
and the RPN's two are trained together by `segeval.losses.MaskRCNNLoss`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from segeval.errors import SegevalError
from segeval.losses import MaskRCNNLoss
from segeval_baselines.detection.roi_heads import Detections, HeadSizes, RegionRule, RoIHeads
from segeval_baselines.detection.rpn import RPN, ProposalRule
from segeval_baselines.layers.blocks import Size, size_of
from segeval_baselines.layers.fpn import STRIDES, PyramidBackbone, extra_level, padded

if TYPE_CHECKING:
    from segeval_baselines.detection.targets import DetectionTarget

ANCHORS = ((32.0,), (64.0,), (128.0,), (256.0,), (512.0,))
"""Sides of the anchors of P2 to P6, in pixels; the paper's."""

RATIOS = (0.5, 1.0, 2.0)


class MaskRCNN(nn.Module):
    """ResNet, FPN, RPN and the heads; the defaults are the paper's.

    In training mode `forward` takes images and targets and returns the terms of the loss; in eval mode it takes images
    and returns `Detections`.

    Parameters
    ----------
    classes
        Of things. Background is not counted: torchvision's 91 are 90 here.
    depth, width, channels, norm
        Of the ResNet; ``norm="frozen"`` for published weights.
    pyramid, pyramid_norm
        Of the FPN.
    anchors, ratios
        Sides of the anchors of each level, in pixels, from P2 on (five levels have P6); height over width.
    rpn_convolutions
        3x3 convolutions of the RPN's head.
    proposals, regions, heads
        Fields of `ProposalRule`, `RegionRule` and `HeadSizes` in place of their defaults.
    unused
        Labels that stand for no class, as ten of torchvision's; never detected.
    box_beta
        Where the box loss turns from quadratic to linear.
    """

    border = 0

    def __init__(
        self,
        classes: int,
        *,
        depth: int = 50,
        width: int = 64,
        channels: int = 3,
        norm: str = "batch",
        pyramid: int = 256,
        pyramid_norm: bool = False,
        anchors: Sequence[Sequence[float]] = ANCHORS,
        ratios: Sequence[float] = RATIOS,
        rpn_convolutions: int = 1,
        proposals: Mapping[str, Any] | None = None,
        regions: Mapping[str, Any] | None = None,
        heads: Mapping[str, Any] | None = None,
        unused: Sequence[int] = (),
        box_beta: float = 1.0,
    ) -> None:
        super().__init__()
        if classes < 1:
            raise SegevalError("there is no class of things to detect", remedy="say which classes are things")
        if len(anchors) not in (4, 5) or len({len(level) for level in anchors}) != 1:
            raise SegevalError(
                f"anchors {anchors!r:.60}", remedy="give as many sides for each of P2 to P5, or P2 to P6"
            )
        self.backbone = PyramidBackbone(depth, width, pyramid, norm=norm, pyramid_norm=pyramid_norm, channels=channels)
        rule = ProposalRule(**{k: _tuple(v) for k, v in (proposals or {}).items()})
        self.rpn = RPN(pyramid, anchors, ratios, rule, rpn_convolutions)
        self.roi_heads = RoIHeads(pyramid, classes, HeadSizes(**(heads or {})), RegionRule(**(regions or {})))
        self.levels, self.unused = len(anchors), tuple(unused)
        self.terms = MaskRCNNLoss(box_beta=box_beta)

    def forward(
        self, images: Tensor, targets: Sequence[DetectionTarget] | None = None
    ) -> dict[str, Tensor] | list[Detections]:
        """Terms of the loss of images (N, 3, h, w) with their targets, or in eval mode their detections.

        Raises
        ------
        SegevalError
            In training mode without targets.
        """
        maps, size = self.maps(images), size_of(images)
        if not self.training:
            return self.detections(maps, size)
        if targets is None:
            raise SegevalError("a detector learns from targets", remedy="give them, or call eval() first")
        return self.instance_terms(maps, size, targets)

    def maps(self, images: Tensor) -> list[Tensor]:
        """P2 to P5 of the padded images."""
        found: list[Tensor] = self.backbone(padded(images))
        return found

    def instance_terms(
        self, maps: Sequence[Tensor], size: Size, targets: Sequence[DetectionTarget]
    ) -> dict[str, Tensor]:
        """The terms of `segeval.losses.MaskRCNNLoss` and their "total"."""
        levels = self._levels(maps)
        anchors = self.rpn.anchors(levels, _padded_size(maps))
        scores, deltas = self.rpn.head(levels)
        wanted = self.rpn.targets(anchors, [target.boxes for target in targets])
        proposals = self.rpn.proposals(anchors, scores, deltas, size)
        regions = self.roi_heads.regions(proposals, targets)
        logits, box_deltas = self.roi_heads.boxes(maps, regions.boxes, regions.images)
        positive = regions.positive
        terms: dict[str, Tensor] = self.terms(
            class_logits=logits,
            labels=regions.labels,
            box_deltas=box_deltas[:, 4:],
            box_targets=regions.deltas,
            mask_logits=self.roi_heads.masks(maps, regions.boxes[positive], regions.images[positive]),
            mask_labels=regions.labels[positive],
            mask_targets=regions.masks,
            objectness=torch.cat(scores, dim=1).flatten(),
            anchor_labels=wanted.labels,
            anchor_deltas=torch.cat(deltas, dim=1).flatten(0, 1),
            anchor_targets=wanted.deltas,
        )
        return terms

    def detections(self, maps: Sequence[Tensor], size: Size) -> list[Detections]:
        """What is found in images of a size, of their maps."""
        levels = self._levels(maps)
        anchors = self.rpn.anchors(levels, _padded_size(maps))
        scores, deltas = self.rpn.head(levels)
        proposals = self.rpn.proposals(anchors, scores, deltas, size)
        return self.roi_heads.detect(maps, proposals, size, self.unused)

    def all_regions(self, images: Tensor) -> Tensor:
        """Mask logits as if every image had as many proposals and detections as the rules allow.

        What is computed then depends on sizes alone; `cost` counts it without running it.
        """
        maps, heads = self.maps(images), self.roi_heads
        self.rpn.head(self._levels(maps))
        width = maps[0].shape[1]
        boxes, masks = self.rpn.rule.after[1] * len(images), heads.rule.detections * len(images)
        heads.box_predictor(heads.box_head(images.new_empty(boxes, width, heads.sizes.box, heads.sizes.box)))
        seen = images.new_empty(masks, width, heads.sizes.mask, heads.sizes.mask)
        logits: Tensor = heads.mask_predictor(heads.mask_head(seen))
        return logits

    def _levels(self, maps: Sequence[Tensor]) -> list[Tensor]:
        return [*maps, extra_level(maps)] if self.levels > len(maps) else list(maps)


def _padded_size(maps: Sequence[Tensor]) -> Size:
    height, width = size_of(maps[0])
    return STRIDES[0] * height, STRIDES[0] * width


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
