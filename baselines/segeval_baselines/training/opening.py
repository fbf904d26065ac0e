"""What a job's network is trained on, by the network's task."""

from __future__ import annotations

from collections.abc import Callable

import torch

from segeval_baselines.data.splits import OPENERS
from segeval_baselines.training.courses import Course
from segeval_baselines.training.jobs import Job
from segeval_baselines.training.object_course import InstanceCourse, PanopticCourse
from segeval_baselines.training.semantic_course import SemanticCourse
from segeval_baselines.zoo import architecture

COURSES: dict[str, Callable[[Job, torch.device], Course]] = {
    "semantic": SemanticCourse,
    "instance": InstanceCourse,
    "panoptic": PanopticCourse,
}


def open_course(job: Job, device: torch.device) -> Course:
    """What a job's network is trained on."""
    return COURSES[architecture(job.model).task](job, device)


def training_images(model: str, data: str, classes: str | None) -> int:
    """How many images a network of this name is trained on."""
    return len(OPENERS[architecture(model).task](data, "train", classes).keys())
