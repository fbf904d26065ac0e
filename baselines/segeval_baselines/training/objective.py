"""The loss that a recipe asks for, over main and auxiliary logits."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from segeval.errors import SegevalError
from segeval.losses import LOSSES
from segeval_baselines.data.samples import VOID
from segeval_baselines.layers.blocks import Logits
from segeval_baselines.recipes import BORDER_LOSS, Recipe

Objective = Callable[..., Tensor]
"""Of logits, labels and, where the batch has them, weights of the pixels."""


def pixel_loss(recipe: Recipe, class_weights: list[float] | None) -> nn.Module:
    """The recipe's loss as a module of (logits, labels) that leaves void pixels out; U-Net's takes `weight_map` too.

    Raises
    ------
    SegevalError
        For an unknown loss, one that needs more than labels, or options that it lacks.
    """
    info = LOSSES.get(recipe.loss)
    plain = [name for name, entry in LOSSES.items() if not entry.needs]
    if recipe.loss == BORDER_LOSS:
        plain.append(recipe.loss)
    if info is None or recipe.loss not in plain:
        why = "is no loss" if info is None else f"needs {', '.join(info.needs)} besides labels"
        raise SegevalError(f"{recipe.loss!r} {why}", remedy=f"take {', '.join(plain)}")
    options = dict(recipe.loss_options)
    if recipe.loss == BORDER_LOSS:
        # They shape the weights, which come with the batch.
        options = {name: value for name, value in options.items() if name not in ("w0", "sigma")}
    if class_weights is not None:
        options["weight"] = torch.tensor(class_weights)
    try:
        return info.cls(ignore_index=VOID, **options)
    except TypeError as error:
        raise SegevalError(f"the loss {recipe.loss} can't be made ({error})", remedy="check its options") from None


def objective(recipe: Recipe, class_weights: list[float] | None, device: torch.device) -> Objective:
    """The function that training minimises: loss of the main logits plus the weighted ones of auxiliary heads."""
    module = pixel_loss(recipe, class_weights).to(device)

    def total(logits: Logits, labels: Tensor, weights: Tensor | None = None) -> Tensor:
        more = {} if weights is None else {"weight_map": weights}
        value: Tensor = module(logits.main.float(), labels, **more)
        for aux in logits.aux:
            value = value + recipe.aux_weight * module(aux.float(), labels, **more)
        return value

    return total


__all__ = ["Objective", "objective", "pixel_loss"]
