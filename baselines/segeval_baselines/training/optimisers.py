"""Optimisers by recipe, and the moving average of weights."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from segeval_baselines.recipes import Recipe

_BACKBONES = ("backbone.", "features.")


def make_optimiser(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """The recipe's optimiser: no decay on biases and normalisation, another rate outside the backbone."""
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            groups.setdefault((name.startswith(_BACKBONES), parameter.ndim > 1), []).append(parameter)
    listed: list[dict[str, Any]] = []
    for (backbone, decayed), parameters in groups.items():
        times = 1.0 if backbone else recipe.head_rate
        decay = recipe.decay if decayed else 0.0
        listed.append({"params": parameters, "weight_decay": decay, "times": times, "lr": recipe.rate * times})
    if recipe.optimiser == "adamw":
        return torch.optim.AdamW(listed, lr=recipe.rate)
    return torch.optim.SGD(listed, lr=recipe.rate, momentum=recipe.momentum)


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of every group, times the group's own factor."""
    for group in optimiser.param_groups:
        group["lr"] = rate * group["times"]


class Average:
    """An exponential moving average of a network's weights; the network itself where no decay is asked for."""

    def __init__(self, network: nn.Module, decay: float | None) -> None:
        self.decay = decay
        self.network = network if decay is None else copy.deepcopy(network)
        self.updates = 0

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Move towards the network's weights; early on faster, so that the first weights don't linger."""
        if self.decay is None:
            return
        self.updates += 1
        share = 1 - min(self.decay, (1 + self.updates) / (10 + self.updates))
        current = network.state_dict()
        for name, tensor in self.network.state_dict().items():
            if tensor.is_floating_point():
                tensor.lerp_(current[name], share)
            else:
                tensor.copy_(current[name])

    def saved(self) -> dict[str, Any]:
        """What resuming needs."""
        if self.decay is None:
            return {}
        weights: dict[str, Tensor] = {k: v.cpu() for k, v in self.network.state_dict().items()}
        return {"updates": self.updates, "weights": weights}

    def restore(self, saved: dict[str, Any]) -> None:
        """The reverse of `saved`."""
        if saved:
            self.updates = saved["updates"]
            self.network.load_state_dict(saved["weights"])
