"""Training on label maps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from segeval_baselines.data.samples import Samples
from segeval_baselines.data.splits import open_split
from segeval_baselines.data.survey import Survey, survey
from segeval_baselines.group import Group
from segeval_baselines.layers.blocks import Logits, Size
from segeval_baselines.prediction.inference import Predictor
from segeval_baselines.training.batches import Batch, Stream
from segeval_baselines.training.courses import Colours
from segeval_baselines.training.jobs import Job
from segeval_baselines.training.objective import Objective, objective
from segeval_baselines.training.validation import validate


class SemanticCourse:
    """Label maps: a loss of `segeval.losses` over the logits, mIoU as headline."""

    def __init__(self, job: Job, device: torch.device) -> None:
        self.job = job
        self.samples: Samples = open_split(job.data, "train", job.classes)
        self.taxonomy = self.samples.taxonomy
        self.validation = open_split(job.data, "val", job.classes) if job.validations else None
        self.survey: Survey = survey(self.samples)
        weights = self.survey.median_frequency_weights() if job.recipe.class_weights == "median" else None
        self.objective: Objective = objective(job.recipe, weights, device)

    @property
    def validates(self) -> bool:
        return self.validation is not None

    def colours(self) -> Colours:
        return self.survey.mean, self.survey.std

    def stream(self, network: nn.Module, group: Group) -> Stream:
        border = int(network.border)  # type: ignore[arg-type]
        stream = Stream(self.samples, self.job.recipe, self.job.seed, border=border, rank=group.rank, size=group.size)
        if border:
            stream.target = _valid_target(network, stream.target)
        return stream

    def inputs(self, batch: Batch, device: torch.device) -> tuple[()]:
        return ()

    def loss(self, output: Logits, batch: Batch, device: torch.device) -> Tensor:
        weights = () if batch.weights is None else (batch.weights.to(device, non_blocking=True),)
        return self.objective(output, batch.labels.to(device, non_blocking=True), *weights)

    def validate(self, network: nn.Module, colours: Colours, group: Group) -> Mapping[str, float]:
        assert self.validation is not None
        predictor = Predictor(network, *colours, self.job.recipe.image_scale, group.device)
        values = validate(predictor, self.validation, self.job.validation_images, group).values
        return {name: values[name] for name in ("mIoU", "aAcc")}


def _valid_target(network: Any, target: tuple[int, ...]) -> Size:
    from segeval_baselines.networks.unet import valid_input

    height, width = (valid_input(side, network.depth) - 2 * network.border for side in target)
    return height, width
