"""Inputs shared by the tests of the losses: every loss of the registry, called with all that it needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from segeval import losses

IGNORED = 255

# The losses that take (logits, target); the task losses have tests of their own.
DENSE = [name for name, info in losses.LOSSES.items() if info.level != "task"]
# The stopped quantities of these depend on the logits, so that a finite difference sees more than the gradient does.
STOPPED = {"active_boundary", "hausdorff_distance"}

# Small pooling and neighbourhoods so that images of a few pixels say something.
OPTIONS: dict[str, dict[str, Any]] = {
    "region_mutual_information": {"radius": 2, "pooling": "none"},
    "active_boundary": {"share": 0.2},
    "ohem": {"min_kept": 5},
    "hausdorff_erosion": {"erosions": 3},
}


def make(name: str, **options: Any) -> nn.Module:
    """The loss, with the options of small images."""
    return losses.LOSSES[name].cls(**{**OPTIONS.get(name, {}), **options})


def needed(name: str, target: Tensor, channels: int, seed: int = 0) -> dict[str, Tensor]:
    """What the loss needs beside logits and target, made by the helper that the registry names."""
    info = losses.LOSSES[name]
    tensors = {}
    for need in info.needs:
        if need == "features":
            generator = torch.Generator().manual_seed(seed)
            shape = (target.shape[0], 4, *target.shape[1:])
            tensors[need] = torch.randn(shape, generator=generator, dtype=torch.float64)
        elif need == "instance_ids":
            tensors[need] = torch.where(target == IGNORED, 0, target)
        else:
            helper: Callable[..., Any] = getattr(losses, info.helper)
            per_class = info.helper in ("signed_distance_map", "region_wise_map")
            known = [one.numpy() for one in target]
            if info.helper in ("boundary_distance_map", "inverted_distance_map"):
                maps = [helper(one, ignore_index=IGNORED) for one in known]
            else:
                maps = [helper(one, channels) if per_class else helper(one) for one in known]
            tensors[need] = torch.stack([torch.from_numpy(one) for one in maps])
    return tensors


def call(name: str, logits: Tensor, target: Tensor, **options: Any) -> Tensor:
    """The loss of a batch with class labels."""
    loss = make(name, ignore_index=IGNORED, **options)
    value: Tensor = loss(logits, target, **needed(name, target, logits.shape[1]))
    return value


def batch(
    classes: int = 3, size: tuple[int, ...] = (6, 7), seed: int = 0, dtype: torch.dtype = torch.float64
) -> tuple[Tensor, Tensor]:
    """Random logits (2, C, *size) and blocky labels (2, *size) in which every class occurs."""
    generator = torch.Generator().manual_seed(seed)
    channels = 1 if classes == 2 else classes
    logits = torch.randn((2, channels, *size), generator=generator, dtype=dtype)
    target = torch.randint(0, classes, (2, *size), generator=generator)
    for c in range(classes):
        target[:, c] = c
    return logits, target


def perfect(target: Tensor, classes: int, margin: float, dtype: torch.dtype = torch.float64) -> Tensor:
    """Logits that answer the labels with a margin: +margin at the true class, -margin elsewhere."""
    known = torch.where(target == IGNORED, 0, target)
    if classes == 1:
        return ((known * 2 - 1) * margin).unsqueeze(1).to(dtype)
    hot = torch.nn.functional.one_hot(known, classes).movedim(-1, 1)
    return ((hot * 2 - 1) * margin).to(dtype)
