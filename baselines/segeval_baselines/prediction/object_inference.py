"""From an image to instances, or to one panoptic map, at the image's size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from segeval.errors import SegevalError
from segeval.samples.mask_runs import encode_mask
from segeval.samples.taxonomy import Taxonomy
from segeval_baselines.checkpoints.checkpoint import Checkpoint
from segeval_baselines.data.augment import scaled_size
from segeval_baselines.data.objects import thing_positions
from segeval_baselines.detection.roi_heads import Detections
from segeval_baselines.layers.blocks import resize
from segeval_baselines.networks.mask_rcnn import MaskRCNN
from segeval_baselines.networks.panoptic_fpn import PanopticFPN, PanopticLogits, merge
from segeval_baselines.ops.paste import paste_masks
from segeval_baselines.prediction.inference import normalise
from segeval_baselines.recipes import Recipe

_PASTED = 32  # masks of an image's size that are in memory at a time


@dataclass(frozen=True)
class Found:
    """The instances of one image, best first.

    Attributes
    ----------
    labels
        (N,) int64 class ids.
    scores
        (N,) float32.
    boxes
        (N, 4) float32 x1, y1, x2, y2, as the box head says, not of the masks.
    masks
        COCO's compressed run lengths, one text for each.
    top
        (H, W) int32: of the pixel's instances the place of the best, from 1; 0 where there is none.
    """

    labels: NDArray[np.int64]
    scores: NDArray[np.float32]
    boxes: NDArray[np.float32]
    masks: tuple[str, ...]
    top: NDArray[np.int32]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the image."""
        return self.top.shape[0], self.top.shape[1]

    def as_prediction(self) -> dict[str, Any]:
        """What `segeval.Accumulator` and `segeval.score` take."""
        listed = [{"size": list(self.size), "counts": text} for text in self.masks]
        return {"rle": listed, "labels": self.labels, "scores": self.scores, "size": self.size}


@dataclass(frozen=True)
class PanopticFound:
    """One map of things and stuff.

    Attributes
    ----------
    ids
        (H, W) int64; 0 where nothing is.
    segments
        ``{"id": ..., "category_id": ...}`` for each other value.
    """

    ids: NDArray[np.int64]
    segments: tuple[dict[str, int], ...]


@dataclass(frozen=True)
class ObjectPredictor:
    """A detector ready to predict, one image at a time: what it finds doesn't depend on other images.

    Parameters
    ----------
    network
        `MaskRCNN` or `PanopticFPN`, in eval mode.
    taxonomy
        Its classes.
    mean, std
        Of its training's RGB values in [0, 1].
    recipe
        Says how images are resized first.
    device
        Where it runs.
    """

    network: nn.Module
    taxonomy: Taxonomy
    mean: tuple[float, ...]
    std: tuple[float, ...]
    recipe: Recipe
    device: torch.device

    @classmethod
    def of(cls, checkpoint: Checkpoint, device: torch.device | str = "cpu") -> ObjectPredictor:
        """From a checkpoint."""
        place = torch.device(device)
        network = checkpoint.network(place)
        return cls(network, checkpoint.taxonomy, checkpoint.mean, checkpoint.std, checkpoint.recipe, place)

    def seen(self, image: NDArray[np.uint8]) -> Tensor:
        """The image as the network sees it: (1, 3, h, w).

        By a factor it is resized with antialiasing. To a shorter side it is normalised first and then interpolated
        between neighbours, as torchvision does for its published weights.
        """
        size, published = (image.shape[0], image.shape[1]), self.recipe.short_side is not None
        zoom = self.recipe.zoom(size)
        wanted = scaled_size(size, zoom)
        if wanted != size and not published:
            image = np.array(Image.fromarray(image).resize(wanted[::-1], Image.Resampling.BILINEAR))
        x = torch.from_numpy(image).permute(2, 0, 1)[None].to(self.device).float() / 255
        x = normalise(x, self.mean, self.std)
        if published:
            x = F.interpolate(x, scale_factor=zoom, mode="bilinear", align_corners=False, recompute_scale_factor=True)
        return x

    @torch.no_grad()
    def look(self, image: NDArray[np.uint8]) -> tuple[Detections, Tensor | None]:
        """Detections in pixels of the image, and of a panoptic network the semantic logits of what it saw.

        Raises
        ------
        SegevalError
            If memory runs out.
        """
        x = self.seen(image)
        try:
            result = self.network(x)[0]
        except torch.OutOfMemoryError:
            raise SegevalError(
                "out of memory", remedy="predict with --device cpu, or train at a smaller size"
            ) from None
        found = result.things if isinstance(result, PanopticLogits) else result
        down, across = (new / old for new, old in zip(image.shape[:2], x.shape[-2:], strict=True))
        boxes = found.boxes * found.boxes.new_tensor([across, down, across, down])
        return found._replace(boxes=boxes), result.stuff if isinstance(result, PanopticLogits) else None

    def instances(self, image: NDArray[np.uint8]) -> Found:
        """The instances of an image (H, W, 3); a detection whose mask has no pixel is left out."""
        size = (image.shape[0], image.shape[1])
        found, _ = self.look(image)
        texts, kept, top = [], [], np.zeros(size, np.int32)
        for place, mask in enumerate(_pasted(found, size)):
            if mask.any():
                texts.append(str(encode_mask(mask)["counts"]))
                kept.append(place)
                top[mask & (top == 0)] = len(kept)
        labels, scores, boxes = (part.cpu().numpy()[kept] for part in (found.labels, found.scores, found.boxes))
        return Found(np.array(thing_ids(self.taxonomy), np.int64)[labels - 1], scores, boxes, tuple(texts), top)

    def panoptic(self, image: NDArray[np.uint8]) -> PanopticFound:
        """The panoptic map of an image (H, W, 3).

        Raises
        ------
        SegevalError
            If the network has no semantic branch.
        """
        if not isinstance(self.network, PanopticFPN):
            raise SegevalError("finds instances and no stuff", remedy="take a panoptic network")
        size = (image.shape[0], image.shape[1])
        found, logits = self.look(image)
        assert logits is not None
        stuff = resize(logits[None], size)[0].argmax(0)
        ids, segments = merge(found, stuff, size, self.network.merging)
        things = thing_ids(self.taxonomy)
        stuffs = [i for i in self.taxonomy.ids if i not in things]
        classes = [things[thing - 1] if thing else stuffs[label - 1] for thing, label in segments]
        entries = tuple({"id": k, "category_id": c} for k, c in enumerate(classes, 1))
        return PanopticFound(ids.cpu().numpy(), entries)


def thing_ids(taxonomy: Taxonomy) -> list[int]:
    """Class ids of the labels 1, 2, ... of objects."""
    return [taxonomy.ids[position] for position in thing_positions(taxonomy)]


def _pasted(found: Detections, size: tuple[int, int]) -> Iterator[NDArray[np.bool_]]:
    for masks, boxes in zip(torch.split(found.masks, _PASTED), torch.split(found.boxes, _PASTED), strict=True):
        yield from paste_masks(masks, boxes, size).cpu().numpy()


def most_detections(network: nn.Module) -> int:
    """How many detections of an image a network gives at most."""
    return network.roi_heads.rule.detections if isinstance(network, MaskRCNN) else 0


__all__ = ["Found", "ObjectPredictor", "PanopticFound", "most_detections", "thing_ids"]
