"""Images with a few boxes and balls on grass under the sky, and detectors small enough for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from segeval_baselines.data.object_truth import export_images, export_truth
from segeval_baselines.data.objects import ObjectSample
from segeval_baselines.detection.targets import DetectionTarget
from segeval_baselines.ops import mask_boxes
from segeval_baselines.recipes import Recipe
from segeval_baselines.training.jobs import Budget, Job

from segeval.samples.pairs import Key
from segeval.samples.taxonomy import Taxonomy

TOYS = Taxonomy((3, 7, 12, 20), ("grass", "box", "sky", "ball"), (False, True, False, True))
THINGS, STUFF = 2, 2
COLOURS = np.array([(60, 130, 60), (200, 60, 60), (120, 160, 220), (240, 220, 60)])

SMALL: dict[str, Any] = {
    "depth": 18,
    "width": 8,
    "pyramid": 16,
    "anchors": ((8,), (16,), (32,), (48,)),
    "proposals": {"before": (100, 100), "after": (60, 60), "sampled": 64},
    "regions": {"canonical": 32.0, "sampled": 32},
    "heads": {"hidden": 32, "mask_convolutions": 1},
}
SMALL_PANOPTIC: dict[str, Any] = {
    **SMALL,
    "semantic_width": 16,
    "semantic_groups": 4,
    "merging": {"stuff_area": 100.0},
}


def toy_sample(
    seed: int = 0, size: tuple[int, int] = (64, 80), objects: int = 3, crowds: int = 0, stuff: bool = True
) -> ObjectSample:
    """An image; objects hide those before them, and crowds are the first."""
    rng = np.random.default_rng(seed)
    height, width = size
    rows, columns = np.mgrid[:height, :width]
    semantic = np.where(rows < height // 3, 2, 0).astype(np.uint8)
    ids = np.zeros(size, np.int64)
    labels = []
    for number in range(1, objects + crowds + 1):
        label = int(rng.integers(1, THINGS + 1))
        radius = float(rng.uniform(6, 12))
        y, x = rng.uniform(8, height - 8), rng.uniform(8, width - 8)
        if label == 1:
            mask = (np.abs(rows - y) < radius) & (np.abs(columns - x) < radius)
        else:
            mask = (rows - y) ** 2 + (columns - x) ** 2 < radius**2
        ids[mask] = number
        semantic[mask] = (1, 3)[label - 1]
        labels.append(label)
    image = (COLOURS[semantic] + rng.integers(-15, 15, (height, width, 3))).clip(0, 255).astype(np.uint8)
    masks = ids == np.arange(1, objects + crowds + 1)[:, None, None]
    crowd = np.arange(objects + crowds) < crowds
    seen = masks.any(axis=(1, 2))
    return ObjectSample(image, masks[seen], np.array(labels, np.int64)[seen], crowd[seen], semantic if stuff else None)


def target_of(sample: ObjectSample) -> DetectionTarget:
    """The objects of a whole sample."""
    kept = ~sample.crowd
    masks = torch.from_numpy(sample.masks[kept].astype(np.uint8))
    return DetectionTarget(mask_boxes(masks), torch.from_numpy(sample.labels[kept]), masks)


def tensors_of(samples: Sequence[ObjectSample]) -> tuple[torch.Tensor, list[DetectionTarget]]:
    """Normalised images (N, 3, h, w) and targets."""
    images = torch.stack([torch.from_numpy(s.image).permute(2, 0, 1) for s in samples]).float()
    return images / 127.5 - 1, [target_of(s) for s in samples]


def write_toys(root: Path, *, train: int = 5, val: int = 3) -> Path:
    """A folder as ``coco:ROOT`` and ``coco_panoptic:ROOT`` read it; images without objects and crowds among them."""
    for split, count, first in (("train", train, 0), ("val", val, 100)):
        samples = {
            f"{split}{k}": toy_sample(first + k, objects=(3, 0, 5)[k % 3], crowds=int(k % 3 == 2)) for k in range(count)
        }
        listed = Listed(samples, numbers={key: 10 + k for k, key in enumerate(samples)})
        export_truth(listed, root / "written")
        export_images(listed, root / "images" / split)
        (root / "annotations").mkdir(exist_ok=True)
        for kind in ("instances", "panoptic"):
            (root / "written" / f"{kind}.json").rename(root / "annotations" / f"{kind}_{split}.json")
        (root / "panoptic").mkdir(exist_ok=True)
        (root / "written" / "panoptic").rename(root / "panoptic" / split)
    return root


def toy_objects_job(root: Path, model: str, iterations: int = 6, **changes: Any) -> Job:
    """A small detector for a few steps."""
    panoptic = model == "panoptic_fpn"
    return Job(
        model,
        f"{'coco_panoptic' if panoptic else 'coco'}:{root}",
        changes.pop("recipe", Recipe(batch=2, rate=1e-3, clip=5.0, colour=0.1)),
        Budget(iterations=iterations),
        options={**(SMALL_PANOPTIC if panoptic else SMALL), **changes.pop("options", {})},
        device="cpu",
        validations=changes.pop("validations", 2),
        **changes,
    )


@dataclass(frozen=True)
class Listed:
    """A split of samples at hand."""

    samples: Mapping[str, ObjectSample]
    taxonomy: Taxonomy = TOYS
    name: str = "toys"
    numbers: Mapping[str, int] | None = None

    def keys(self) -> Sequence[str]:
        return list(self.samples)

    def load(self, key: str) -> ObjectSample:
        return self.samples[key]

    def image_ids(self) -> Mapping[str, Key | None]:
        return {key: self.numbers[key] if self.numbers else None for key in self.samples}
