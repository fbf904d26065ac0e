"""Training detectors: Mask R-CNN on instances, Panoptic FPN on things and stuff."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from segeval.errors import SegevalError
from segeval.results.result import Result
from segeval_baselines.data.objects import ObjectSamples
from segeval_baselines.data.samples import VOID
from segeval_baselines.data.splits import open_objects
from segeval_baselines.data.survey import Levels
from segeval_baselines.detection.targets import DetectionTarget
from segeval_baselines.group import Group
from segeval_baselines.prediction.object_inference import ObjectPredictor
from segeval_baselines.training.courses import Colours
from segeval_baselines.training.jobs import Job
from segeval_baselines.training.object_batches import ObjectBatch, ObjectStream
from segeval_baselines.training.validation import spaced, validate_instances, validate_panoptic

_COLOURED = 100  # images whose colours are counted: objects are slow to decode, and the mean is soon known


class ObjectCourse:
    """Objects with masks; the networks compute their losses themselves."""

    def __init__(self, job: Job, device: torch.device) -> None:
        self.job = job
        self.samples: ObjectSamples = open_objects(job.data, "train", job.classes)
        self.taxonomy = self.samples.taxonomy
        self.validation = open_objects(job.data, "val", job.classes) if job.validations else None

    @property
    def validates(self) -> bool:
        return self.validation is not None

    def colours(self) -> Colours:
        return image_colours(self.samples)

    def stream(self, network: nn.Module, group: Group) -> ObjectStream:
        return ObjectStream(self.samples, self.job.recipe, self.job.seed, rank=group.rank, size=group.size)

    def inputs(self, batch: ObjectBatch, device: torch.device) -> tuple[Any, ...]:
        return ([DetectionTarget(*(part.to(device, non_blocking=True) for part in t)) for t in batch.targets],)

    def loss(self, output: dict[str, Tensor], batch: ObjectBatch, device: torch.device) -> Tensor:
        return output["total"]

    def predictor(self, network: nn.Module, colours: Colours, group: Group) -> ObjectPredictor:
        """What is validated."""
        return ObjectPredictor(network, self.taxonomy, *colours, self.job.recipe, group.device)


class InstanceCourse(ObjectCourse):
    """Instances, AP as headline."""

    def validate(self, network: nn.Module, colours: Colours, group: Group) -> Mapping[str, float]:
        assert self.validation is not None
        predictor = self.predictor(network, colours, group)
        return _figures(validate_instances(predictor, self.validation, self.job.validation_images, group), "AP", "AP50")


class PanopticCourse(ObjectCourse):
    """Instances and a semantic map, PQ as headline."""

    def __init__(self, job: Job, device: torch.device) -> None:
        super().__init__(job, device)
        things = self.taxonomy.things
        if things is None or all(things):
            raise SegevalError(
                f"{self.samples.name} has no stuff", remedy="train mask_rcnn, or say which classes are stuff"
            )
        self._channels = semantic_channels(things)

    def inputs(self, batch: ObjectBatch, device: torch.device) -> tuple[Any, ...]:
        if batch.semantic is None:
            raise SegevalError(f"{self.samples.name} has no map of stuff", remedy="train mask_rcnn")
        return *super().inputs(batch, device), self._channels[batch.semantic].to(device, non_blocking=True)

    def validate(self, network: nn.Module, colours: Colours, group: Group) -> Mapping[str, float]:
        assert self.validation is not None
        predictor = self.predictor(network, colours, group)
        return _figures(
            validate_panoptic(predictor, self.validation, self.job.validation_images, group), "PQ", "SQ", "RQ"
        )


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
    levels = Levels()
    for key in spaced(list(samples.keys()), _COLOURED):
        levels.add(samples.load(key).image)
    return levels.mean_and_spread()


def _figures(result: Result, *names: str) -> Mapping[str, float]:
    return {name: result.values[name] for name in names}
