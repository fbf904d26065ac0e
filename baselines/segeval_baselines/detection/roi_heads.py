"""The heads of Mask R-CNN that look at regions: class, box and mask; state-dict names are torchvision's.

He, Gkioxari, Dollár, Girshick, "Mask R-CNN", ICCV 2017.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segeval_baselines.detection.assignment import assign, sample
from segeval_baselines.layers.blocks import Size
from segeval_baselines.layers.fpn import STRIDES, convolution
from segeval_baselines.ops.boxes import clip_boxes, decode_boxes, encode_boxes
from segeval_baselines.ops.nms import batched_nms
from segeval_baselines.ops.roi_align import pyramid_roi_align, roi_align

if TYPE_CHECKING:
    from segeval_baselines.detection.targets import DetectionTarget

BOX_WEIGHTS = (10.0, 10.0, 5.0, 5.0)
"""Factors on a region's deltas (Girshick, ICCV 2015), which bring them to about unit variance."""

_SMALLEST = 1e-2  # pixels a side; smaller detections are nothing


@dataclass(frozen=True)
class RegionRule:
    """Which regions a step learns from, how regions are cut out of the pyramid, and which become detections.

    Parameters
    ----------
    sampled, share
        Regions of an image that a step learns from, and the largest share of objects' regions among them.
    overlap
        A region is an object's from this IoU on, else background.
    canonical
        Side in pixels of a region that is cut out of P4; half the side means the next finer map.
    score, nms, detections
        Detections below a score are dropped, then the lower of two of a class above an IoU; so many stay in an image.
    """

    sampled: int = 512
    share: float = 0.25
    overlap: float = 0.5
    canonical: float = 224.0
    score: float = 0.05
    nms: float = 0.5
    detections: int = 100


class Regions(NamedTuple):
    """The regions that a step learns from, of all images one after the other.

    Attributes
    ----------
    boxes
        (R, 4).
    images
        (R,) int64 position of each region's image.
    labels
        (R,) int64, 0 for background.
    deltas
        (R, 4) encoded boxes of the objects; rows of background are not read.
    positive
        (P,) int64: the objects' regions.
    masks
        (P, m, m) the objects' masks within their regions, in [0, 1].
    """

    boxes: Tensor
    images: Tensor
    labels: Tensor
    deltas: Tensor
    positive: Tensor
    masks: Tensor


class Detections(NamedTuple):
    """What was found in one image, best first.

    Attributes
    ----------
    boxes
        (D, 4), in pixels of what the network saw.
    labels
        (D,) int64, from 1.
    scores
        (D,) in (0, 1].
    masks
        (D, m, m) probabilities within the boxes; `ops.paste_masks` puts them into the image.
    """

    boxes: Tensor
    labels: Tensor
    scores: Tensor
    masks: Tensor


class BoxHead(nn.Module):
    """Two fully connected layers over a region's 7 x 7 features."""

    def __init__(self, inputs: int, hidden: int, size: int) -> None:
        super().__init__()
        self.fc6 = nn.Linear(inputs * size**2, hidden)
        self.fc7 = nn.Linear(hidden, hidden)

    def forward(self, x: Tensor) -> Tensor:
        """(R, inputs, size, size) to (R, hidden)."""
        return F.relu(self.fc7(F.relu(self.fc6(x.flatten(1)))))


def convolutional_box_head(inputs: int, hidden: int, size: int) -> nn.Sequential:
    """Four normalised 3x3 convolutions and one fully connected layer: the head of torchvision's second version."""
    convolutions = [convolution(inputs, inputs, 3, nn.BatchNorm2d, relu=True) for _ in range(4)]
    return nn.Sequential(*convolutions, nn.Flatten(), nn.Linear(inputs * size**2, hidden), nn.ReLU(inplace=True))


class BoxPredictor(nn.Module):
    """Scores of background and the classes, and four deltas a class."""

    def __init__(self, hidden: int, classes: int) -> None:
        super().__init__()
        self.cls_score = nn.Linear(hidden, classes + 1)
        self.bbox_pred = nn.Linear(hidden, 4 * (classes + 1))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(R, hidden) to (R, classes + 1) and (R, 4 (classes + 1)), in float32."""
        return self.cls_score(x).float(), self.bbox_pred(x).float()


class MaskPredictor(nn.Module):
    """A transposed convolution that doubles the size, and one map a class."""

    def __init__(self, inputs: int, hidden: int, classes: int) -> None:
        super().__init__()
        self.conv5_mask = nn.ConvTranspose2d(inputs, hidden, 2, 2)
        # torchvision's files have a map of the background too, which is never read.
        self.mask_fcn_logits = nn.Conv2d(hidden, classes + 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(R, inputs, m / 2, m / 2) to (R, classes + 1, m, m), in float32."""
        out: Tensor = self.mask_fcn_logits(F.relu(self.conv5_mask(x))).float()
        return out


@dataclass(frozen=True)
class HeadSizes:
    """Sizes of the heads.

    Parameters
    ----------
    box, mask
        Cells a side of a region as the box head and the mask head see it; masks have twice as many.
    hidden
        Channels of the box head.
    mask_convolutions, mask_width
        3x3 convolutions of the mask head, and their channels (the pyramid's if None).
    convolutional
        The heads of torchvision's second version, with batch normalisation.
    """

    box: int = 7
    mask: int = 14
    hidden: int = 1024
    mask_convolutions: int = 4
    mask_width: int | None = None
    convolutional: bool = False


class RoIHeads(nn.Module):
    """Regions in, losses' inputs or detections out.

    Parameters
    ----------
    width
        Channels of the pyramid.
    classes
        Of things, without background.
    sizes, rule
        Of the heads; how regions are chosen.
    """

    def __init__(self, width: int, classes: int, sizes: HeadSizes, rule: RegionRule) -> None:
        super().__init__()
        self.classes, self.sizes, self.rule = classes, sizes, rule
        head = convolutional_box_head if sizes.convolutional else BoxHead
        self.box_head: nn.Module = head(width, sizes.hidden, sizes.box)
        self.box_predictor = BoxPredictor(sizes.hidden, classes)
        inner, norm = sizes.mask_width or width, nn.BatchNorm2d if sizes.convolutional else None
        channels = [width] + sizes.mask_convolutions * [inner]
        self.mask_head = nn.Sequential(*(convolution(i, o, 3, norm, relu=True) for i, o in pairwise(channels)))
        self.mask_predictor = MaskPredictor(channels[-1], inner, classes)
        _initialise(self)

    def pooled(self, maps: Sequence[Tensor], boxes: Tensor, images: Tensor, cells: int) -> Tensor:
        """RoIAlign of each region from the map of its size: (R, channels, cells, cells)."""
        scales = [1 / stride for stride in STRIDES[: len(maps)]]
        return pyramid_roi_align(
            maps, boxes, images, (cells, cells), scales, sampling=2, canonical_size=self.rule.canonical
        )

    def boxes(self, maps: Sequence[Tensor], boxes: Tensor, images: Tensor) -> tuple[Tensor, Tensor]:
        """Class logits (R, classes + 1) and deltas (R, 4 (classes + 1)) of regions."""
        scores, deltas = self.box_predictor(self.box_head(self.pooled(maps, boxes, images, self.sizes.box)))
        return scores, deltas

    def masks(self, maps: Sequence[Tensor], boxes: Tensor, images: Tensor) -> Tensor:
        """Mask logits (R, classes, m, m) of regions."""
        logits: Tensor = self.mask_predictor(self.mask_head(self.pooled(maps, boxes, images, self.sizes.mask)))
        return logits[:, 1:]

    @torch.no_grad()
    def regions(self, proposals: Sequence[Tensor], targets: Sequence[DetectionTarget]) -> Regions:
        """A random choice of proposals and true boxes, with what the heads are to say of them."""
        rule, side = self.rule, 2 * self.sizes.mask
        boxes, images, labels, deltas, masks = [], [], [], [], []
        for number, (proposed, target) in enumerate(zip(proposals, targets, strict=True)):
            truth = target.boxes.to(proposed.dtype)
            # Early on no proposal overlaps an object; the true boxes see to it that there is something to learn from.
            candidates = torch.cat([proposed, truth])
            assigned = assign(candidates, truth, rule.overlap, rule.overlap)
            chosen = torch.nonzero(sample(assigned, rule.sampled, rule.share)).squeeze(1)
            region, found = candidates[chosen], assigned[chosen]
            positive = found >= 0
            matched = found[positive]
            label = torch.zeros_like(found)
            label[positive] = target.labels[matched]
            delta = torch.zeros_like(region)
            delta[positive] = encode_boxes(region[positive], truth[matched], BOX_WEIGHTS)
            boxes.append(region)
            images.append(torch.full_like(found, number))
            labels.append(label)
            deltas.append(delta)
            masks.append(_cut_out(target.masks, region[positive], matched, side))
        label = torch.cat(labels)
        positive = torch.nonzero(label > 0).squeeze(1)
        return Regions(torch.cat(boxes), torch.cat(images), label, torch.cat(deltas), positive, torch.cat(masks))

    @torch.no_grad()
    def detect(
        self, maps: Sequence[Tensor], proposals: Sequence[Tensor], size: Size, unused: Sequence[int] = ()
    ) -> list[Detections]:
        """Detections of images of a size (without padding), best first; none of the labels `unused`."""
        counts = [len(p) for p in proposals]
        images = torch.arange(len(counts), device=maps[0].device).repeat_interleave(
            torch.tensor(counts, device=maps[0].device)
        )
        regions = torch.cat(list(proposals))
        logits, deltas = self.boxes(maps, regions, images)
        shares = logits.softmax(dim=1)
        if unused:
            shares[:, list(unused)] = 0.0
        boxes = clip_boxes(decode_boxes(deltas, regions, BOX_WEIGHTS), size)
        found = [self._best(b, s) for b, s in zip(torch.split(boxes, counts), torch.split(shares, counts), strict=True)]
        images = torch.cat([torch.full_like(labels, n) for n, (_, labels, _) in enumerate(found)])
        logits = self.masks(maps, torch.cat([box for box, _, _ in found]), images)
        labels = torch.cat([labels for _, labels, _ in found])
        masks = logits[torch.arange(len(labels), device=labels.device), labels - 1].sigmoid()
        parts = torch.split(masks, [len(labels) for _, labels, _ in found])
        return [Detections(box, label, score, mask) for (box, label, score), mask in zip(found, parts, strict=True)]

    def _best(self, boxes: Tensor, shares: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Boxes, labels and scores of one image's detections, of (R, classes + 1, 4) and (R, classes + 1)."""
        rule = self.rule
        region, label = torch.nonzero(shares[:, 1:] > rule.score, as_tuple=True)
        box, score = boxes[region, label + 1], shares[region, label + 1]
        large = (box[:, 2:] - box[:, :2] >= _SMALLEST).all(dim=1)
        box, score, label = box[large], score[large], label[large] + 1
        kept = batched_nms(box, score, label, rule.nms)[: rule.detections]
        return box[kept], label[kept], score[kept]


def _cut_out(masks: Tensor, boxes: Tensor, matched: Tensor, side: int) -> Tensor:
    """What of each matched object's mask lies within its region: (P, side, side) shares of pixels."""
    if matched.numel() == 0:
        return boxes.new_zeros((0, side, side))
    return roi_align(masks[:, None].to(boxes.dtype), boxes, matched, (side, side), 1.0, sampling=2)[:, 0]


def _initialise(heads: RoIHeads) -> None:
    """He et al. (2015) for convolutions; for the fully connected layers what torch does by default."""
    for part in heads.modules():
        if isinstance(part, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")
            if part.bias is not None:
                nn.init.zeros_(part.bias)
    # Background is likely at first: the class logits start near zero, and so do boxes.
    nn.init.normal_(heads.box_predictor.cls_score.weight, std=0.01)
    nn.init.normal_(heads.box_predictor.bbox_pred.weight, std=0.001)
    nn.init.normal_(
        heads.mask_predictor.mask_fcn_logits.weight, std=1 / math.sqrt(heads.mask_predictor.mask_fcn_logits.in_channels)
    )
    for layer in (heads.box_predictor.cls_score, heads.box_predictor.bbox_pred):
        nn.init.zeros_(layer.bias)


__all__ = [
    "BOX_WEIGHTS",
    "BoxHead",
    "BoxPredictor",
    "Detections",
    "HeadSizes",
    "MaskPredictor",
    "RegionRule",
    "Regions",
    "RoIHeads",
]
