"""The processes that train together: one, or several started by torchrun."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import distributed, nn

from segeval.errors import SegevalError


@dataclass(frozen=True)
class Group:
    """This process's place.

    Attributes
    ----------
    rank, size
        Of the processes.
    device
        Where this one computes.
    """

    rank: int
    size: int
    device: torch.device

    @property
    def leads(self) -> bool:
        """Whether this process writes files and reports."""
        return self.rank == 0

    def share(self, items: list[Any]) -> list[Any]:
        """This process's part; every item is in exactly one part."""
        return items[self.rank :: self.size]

    def gather(self, item: Any) -> list[Any]:
        """The items of all processes, in order of rank."""
        if self.size == 1:
            return [item]
        found: list[Any] = [None] * self.size
        distributed.all_gather_object(found, item)
        return found

    def any(self, flag: bool) -> bool:
        """Whether the flag is set in some process, so that all stop at the same step."""
        if self.size == 1:
            return flag
        value = torch.tensor([float(flag)], device=self.device)
        distributed.all_reduce(value, distributed.ReduceOp.MAX)
        return bool(value.item())

    def align(self, network: nn.Module) -> None:
        """Give every process the first one's running statistics: each has seen other images."""
        if self.size > 1:
            for buffer in network.buffers():
                distributed.broadcast(buffer, 0)

    def largest(self, number: float) -> float:
        """The largest of the processes' numbers."""
        if self.size == 1:
            return number
        value = torch.tensor([number], dtype=torch.float64, device=self.device)
        distributed.all_reduce(value, distributed.ReduceOp.MAX)
        return float(value.item())


def device_of(name: str) -> torch.device:
    """A device by name; ``auto`` takes a GPU where there is one.

    Raises
    ------
    SegevalError
        If it isn't there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise SegevalError(f"{name!r} is no device", remedy="take auto, cpu or cuda") from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise SegevalError("there is no GPU here", remedy="take --device cpu")
    return device


@contextmanager
def joined(device: str = "auto") -> Iterator[Group]:
    """Join the group that torchrun started, or be alone."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    place = device_of(device)
    if size == 1:
        yield Group(0, 1, place)
        return
    if place.type == "cuda":
        place = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(place)
    distributed.init_process_group("nccl" if place.type == "cuda" else "gloo")
    try:
        yield Group(distributed.get_rank(), size, place)
    finally:
        distributed.destroy_process_group()
