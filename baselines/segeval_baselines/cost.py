"""What a network costs: parameters and multiply-adds without running it, time and memory by running it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from segeval.errors import SegevalError
from segeval_baselines.layers.blocks import Size
from segeval_baselines.networks.mask_rcnn import MaskRCNN
from segeval_baselines.networks.unet import UNet, valid_input
from segeval_baselines.zoo import build


@dataclass(frozen=True)
class Cost:
    """Of one forward pass of one image, in eval mode.

    Attributes
    ----------
    parameters
        All of them, fixed ones included.
    flops
        Floating-point operations of convolutions and matrix products; a multiply-add counts two.
    """

    parameters: int
    flops: int


def cost(name: str, preset: str, *, classes: int = 21, size: Size = (360, 480), channels: int = 3) -> Cost:
    """Count on the meta device: no memory, no arithmetic."""
    _require_size(size)
    with torch.device("meta"):
        network = build(name, classes, preset).eval()
        x = torch.empty(1, channels, *input_size(network, size))
        counter = FlopCounterMode(display=False)
        with torch.no_grad(), counter:
            # A detector's work depends on what it finds: the most that its rules allow is counted.
            network.all_regions(x) if isinstance(network, MaskRCNN) else network(x)
    return Cost(parameters(network), int(counter.get_total_flops()))


def parameters(network: nn.Module) -> int:
    """The number of parameters, fixed ones included."""
    return sum(p.numel() for p in network.parameters())


def input_size(network: nn.Module, size: Size) -> Size:
    """What the network is fed for an output of the size: more, if it doesn't pad."""
    if isinstance(network, UNet) and network.valid:
        return valid_input(size[0], network.depth), valid_input(size[1], network.depth)
    return size


@dataclass(frozen=True)
class Timing:
    """Of forward passes in eval mode.

    Attributes
    ----------
    latency, slowest
        Median and largest milliseconds of a pass with one image.
    throughput
        Images a second with `batch` images a pass.
    memory
        Peak MiB of one pass with `batch` images: what the GPU allocated at most; on a CPU what torch's allocator did.
    """

    latency: float
    slowest: float
    throughput: float
    memory: float


def bench(
    network: nn.Module, size: Size, device: torch.device, *, batch: int = 4, passes: int = 10, amp: bool = False
) -> Timing:
    """Run and measure a network.

    Raises
    ------
    SegevalError
        If memory runs out.
    """
    _require_size(size)
    if batch < 1 or passes < 1:
        raise SegevalError("nothing to measure", remedy="give --batch and --passes of at least 1")
    network = network.eval().to(device)
    one, many = (torch.randn(n, 3, *input_size(network, size), device=device) for n in (1, batch))
    try:
        with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=amp):
            single = _times(network, one, device, passes)
            several = _times(network, many, device, max(passes // 2, 2))
            memory = _peak(network, many, device)
    except RuntimeError as error:
        if isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error):
            raise SegevalError("out of memory", remedy="lower --batch or --size") from None
        raise
    return Timing(
        1000 * statistics.median(single), 1000 * max(single), batch / statistics.median(several), memory / 2**20
    )


def _require_size(size: Size) -> None:
    if min(size) < 1:
        raise SegevalError(f"an image of {size[0]}x{size[1]} has no pixel", remedy="give a larger --size")


def _times(network: nn.Module, x: torch.Tensor, device: torch.device, passes: int) -> list[float]:
    network(x)
    times = []
    for _ in range(passes):
        _wait(device)
        begun = time.perf_counter()
        network(x)
        _wait(device)
        times.append(time.perf_counter() - begun)
    return times


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _peak(network: nn.Module, x: torch.Tensor, device: torch.device) -> float:
    def run() -> None:
        network(x)

    if device.type == "cuda":
        return peak_memory(run, device)
    weights = sum(t.numel() * t.element_size() for t in network.state_dict().values())
    return float(peak_memory(run, device) + weights + x.numel() * x.element_size())


def peak_memory(run: Callable[[], object], device: torch.device) -> float:
    """Peak bytes while something runs: of all that the GPU holds; on a CPU of what is allocated on the way."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        run()
        return float(torch.cuda.max_memory_allocated(device))
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        run()
    held = peak = 0
    for event in _memory_events(profiled):
        held += event
        peak = max(peak, held)
    return float(peak)


def _memory_events(profiled: Any) -> list[int]:
    found = [e for e in profiled.profiler.kineto_results.events() if e.name() == "[memory]"]
    return [e.nbytes() for e in sorted(found, key=lambda e: e.start_ns())]
