"""Evidence across the ranks of `torch.distributed`: every rank's tally goes to all of them as bytes."""

from __future__ import annotations

import io
from typing import Any

import torch
import torch.distributed as dist

from segeval.evidence.tally import Tally


def gather_tallies(tally: Tally, group: Any = None) -> list[Tally]:
    """The tallies of all ranks, in the order of the ranks; without a process group just this one.

    Parameters
    ----------
    tally
        This rank's evidence.
    group
        A process group; the default one if None.
    """
    if not (dist.is_available() and dist.is_initialized()):
        return [tally]
    stream = io.BytesIO()
    tally.write(stream)
    return [Tally.load(io.BytesIO(part)) for part in gather_bytes(stream.getvalue(), group)]


def gather_bytes(data: bytes, group: Any = None) -> list[bytes]:
    """The bytes of all ranks: their lengths first, then all of them padded to the longest."""
    # nccl moves memory of its device only; gloo and the others that of the host.
    device = torch.device("cuda", torch.cuda.current_device()) if dist.get_backend(group) == "nccl" else "cpu"
    world = dist.get_world_size(group)
    length = torch.tensor([len(data)], dtype=torch.int64, device=device)
    lengths = [torch.zeros_like(length) for _ in range(world)]
    dist.all_gather(lengths, length, group=group)
    sizes = [int(n) for n in lengths]
    mine = torch.zeros(max(sizes), dtype=torch.uint8)
    mine[: len(data)] = torch.frombuffer(bytearray(data), dtype=torch.uint8)
    mine = mine.to(device)
    parts = [torch.empty_like(mine) for _ in range(world)]
    dist.all_gather(parts, mine, group=group)
    return [part[:size].cpu().numpy().tobytes() for part, size in zip(parts, sizes, strict=True)]
