"""What a job's network is trained on, by the network's task."""

from __future__ import annotations

import torch

from segeval_baselines.data.splits import open_split
from segeval_baselines.training.courses import Course
from segeval_baselines.training.jobs import Job
from segeval_baselines.training.semantic_course import SemanticCourse
from segeval_baselines.zoo import architecture


def open_course(job: Job, device: torch.device) -> Course:
    """What a job's network is trained on, by the network's task."""
    task = architecture(job.model).task
    if task == "semantic":
        return SemanticCourse(job, device)
    from segeval_baselines.training.object_course import ObjectCourse

    return ObjectCourse(job, task)


def training_images(model: str, data: str, classes: str | None) -> int:
    """How many images a network of this name is trained on."""
    if architecture(model).task == "semantic":
        return len(open_split(data, "train", classes).keys())
    from segeval_baselines.data.splits import open_objects

    return len(open_objects(data, "train", classes).keys())
