"""Training detectors: Mask R-CNN on instances, Panoptic FPN on things and stuff."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from segeval.errors import SegevalError
from segeval_baselines.data.objects import ObjectSamples
from segeval_baselines.data.samples import VOID
from segeval_baselines.data.splits import open_objects
from segeval_baselines.detection.targets import DetectionTarget
from segeval_baselines.group import Group
from segeval_baselines.prediction.object_inference import ObjectPredictor
from segeval_baselines.training.courses import Colours
from segeval_baselines.training.jobs import Job
from segeval_baselines.training.object_batches import ObjectBatch, ObjectStream
from segeval_baselines.training.validation import spaced, validate_objects

_COLOURED = 100  # images whose colours are counted: objects are slow to decode, and the mean is soon known

FIGURES = {"instance": ("AP", "AP50"), "panoptic": ("PQ", "SQ", "RQ")}
"""What validation reports of a task, the headline first."""


class ObjectCourse:
    """Objects with masks, and for a panoptic network a semantic map; the networks compute their losses themselves."""

    def __init__(self, job: Job, task: str) -> None:
        self.job, self.task = job, task
        self.samples: ObjectSamples = open_objects(job.data, "train", job.classes)
        self.taxonomy = self.samples.taxonomy
        things = self.taxonomy.things
        if task == "panoptic" and (things is None or all(things)):
            raise SegevalError(
                f"{self.samples.name} has no stuff", remedy="train mask_rcnn, or say which classes are stuff"
            )
        self.validation = open_objects(job.data, "val", job.classes) if job.validations else None
        self._channels = semantic_channels(things)

    @property
    def validates(self) -> bool:
        return self.validation is not None

    def colours(self) -> Colours:
        return image_colours(self.samples)

    def stream(self, network: nn.Module, group: Group) -> ObjectStream:
        return ObjectStream(self.samples, self.job.recipe, self.job.seed, rank=group.rank, size=group.size)

    def inputs(self, batch: ObjectBatch, device: torch.device) -> tuple[Any, ...]:
        targets = [
            DetectionTarget(*(part.to(device, non_blocking=True) for part in target)) for target in batch.targets
        ]
        if self.task == "instance":
            return (targets,)
        if batch.semantic is None:
            raise SegevalError(f"{self.samples.name} has no map of stuff", remedy="train mask_rcnn")
        return targets, self._channels[batch.semantic].to(device, non_blocking=True)

    def loss(self, output: dict[str, Tensor], batch: ObjectBatch, device: torch.device) -> Tensor:
        return output["total"]

    def validate(self, network: nn.Module, colours: Colours, group: Group) -> dict[str, float]:
        assert self.validation is not None
        predictor = ObjectPredictor(network, self.taxonomy, *colours, self.job.recipe, group.device)
        result = validate_objects(predictor, self.validation, self.task, self.job.validation_images, group)
        return {name: result.values[name] for name in FIGURES[self.task]}


def semantic_channels(things: tuple[bool, ...] | None) -> Tensor:
    """(256,) int64: the semantic branch's channel of each position in the taxonomy.

    0 for every thing, 1, 2, ... for stuff in order; void stays void.
    """
    table = torch.full((VOID + 1,), VOID, dtype=torch.int64)
    stuff = 0
    for position, thing in enumerate(things or ()):
        stuff += not thing
        table[position] = 0 if thing else stuff
    return table


def image_colours(samples: ObjectSamples) -> Colours:
    """Mean and spread of the RGB values in [0, 1] of at most 100 images of a split, per channel."""
    levels = np.zeros((3, 256), np.int64)
    for key in spaced(list(samples.keys()), _COLOURED):
        image = samples.load(key).image
        for channel in range(3):
            levels[channel] += np.bincount(image[..., channel].reshape(-1), minlength=256)
    value, total = np.arange(256) / 255.0, max(int(levels[0].sum()), 1)
    mean = levels @ value / total
    std = np.sqrt(np.maximum(levels @ value**2 / total - mean**2, 0.0))
    return tuple(round(float(m), 6) for m in mean), tuple(max(round(float(s), 6), 1e-3) for s in std)
