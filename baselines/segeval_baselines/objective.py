"""The loss that a recipe asks for, over main and auxiliary logits."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from segeval.errors import SegevalError
from segeval.losses import LOSSES
from segeval_baselines.blocks import Logits
from segeval_baselines.datasets import VOID
from segeval_baselines.recipes import Recipe

Objective = Callable[[Logits, Tensor], Tensor]


def pixel_loss(recipe: Recipe, class_weights: list[float] | None) -> nn.Module:
    """The recipe's loss as a module of (logits, labels) that leaves void pixels out.

    Raises
    ------
    SegevalError
        For an unknown loss, one that needs more than labels, or options that it lacks.
    """
    info = LOSSES.get(recipe.loss)
    plain = [name for name, entry in LOSSES.items() if not entry.needs]
    if info is None or info.needs:
        why = "is no loss" if info is None else f"needs {', '.join(info.needs)} besides labels"
        raise SegevalError(f"{recipe.loss!r} {why}", remedy=f"take {', '.join(plain)}")
    options = dict(recipe.loss_options)
    if class_weights is not None:
        options["weight"] = torch.tensor(class_weights)
    try:
        return info.cls(ignore_index=VOID, **options)
    except TypeError as error:
        raise SegevalError(f"the loss {recipe.loss} can't be made ({error})", remedy="check its options") from None


def objective(recipe: Recipe, class_weights: list[float] | None, device: torch.device) -> Objective:
    """The function that training minimises: loss of the main logits plus the weighted ones of auxiliary heads."""
    module = pixel_loss(recipe, class_weights).to(device)

    def total(logits: Logits, labels: Tensor) -> Tensor:
        value: Tensor = module(logits.main.float(), labels)
        for aux in logits.aux:
            value = value + recipe.aux_weight * module(aux.float(), labels)
        return value

    return total


__all__ = ["Objective", "objective", "pixel_loss"]
