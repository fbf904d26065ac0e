"""What the training loop needs to know of a task."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from segeval.samples.taxonomy import Taxonomy
from segeval_baselines.group import Group
from segeval_baselines.layers.blocks import Size

Colours = tuple[tuple[float, ...], tuple[float, ...]]
"""Mean and spread of the RGB values in [0, 1]."""


class Batches(Protocol):
    """An endless series of batches, a function of seed and step; each batch has `images`."""

    @property
    def target(self) -> Size:
        """Height and width of what the network is asked for."""
        ...

    def batches(self, start: int, threads: int = 0) -> Iterator[Any]:
        """Batches from a step on."""
        ...


class Course(Protocol):
    """One task on one data set."""

    @property
    def taxonomy(self) -> Taxonomy:
        """The classes."""
        ...

    @property
    def validates(self) -> bool:
        """Whether there is a split to validate on."""
        ...

    def colours(self) -> Colours:
        """Of the training images."""
        ...

    def stream(self, network: nn.Module, group: Group) -> Batches:
        """This process's part of the training batches."""
        ...

    def inputs(self, batch: Any, device: torch.device) -> tuple[Any, ...]:
        """What the network is given besides images."""
        ...

    def loss(self, output: Any, batch: Any, device: torch.device) -> Tensor:
        """What is minimised, of the network's output."""
        ...

    def validate(self, network: nn.Module, colours: Colours, group: Group) -> Mapping[str, float]:
        """Figures of the validation split by their names in `history.HistoryEntry`."""
        ...
