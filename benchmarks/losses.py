"""Forward and backward of the losses against torch, MONAI and the papers' plain formulas.

python benchmarks/losses.py [--repeats 5] [--device cpu|cuda] [--threads 1] [--compile]

Each pair is timed in turn, ours and theirs, on the same logits and labels; the ratio is that of the medians. With one
thread on the CPU the times are CPU times, which other processes disturb less. The floor is the time of the bytes that
no implementation can avoid: read the logits twice and write a fresh gradient once. Peak memory is what one forward
and backward adds, the gradient included: to the resident set of a fresh process, or to the CUDA allocator.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import platform
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from segeval.losses import functional as ours

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks import losses_peers as plain

Loss = Callable[[Tensor, Tensor], Tensor]
SHAPES = {"8x19x512x512": (8, 19, 512, 512), "4x21x473x473": (4, 21, 473, 473)}


def peers() -> dict[str, list[tuple[str, Loss]]]:
    """For each of our losses, the other implementations by name."""
    found: dict[str, list[tuple[str, Loss]]] = {
        "cross_entropy": [("torch", F.cross_entropy)],
        "focal": [("plain", plain.focal)],
        "dice": [("plain", plain.dice)],
        "jaccard": [("plain", plain.jaccard)],
        "tversky": [("plain", plain.tversky)],
        "lovasz_softmax": [("plain", plain.lovasz_softmax)],
        "boundary_dou": [("plain", plain.boundary_dou)],
        "region_mutual_information": [("plain", plain.region_mutual_information)],
    }
    try:
        monai: Any = importlib.import_module("monai.losses")
    except Exception:  # an optional peer may fail in any way
        return found
    options: dict[str, Any] = {"softmax": True, "to_onehot_y": True, "batch": True}
    for name, peer in {
        "dice": monai.DiceLoss(**options),
        "focal": monai.FocalLoss(use_softmax=True, to_onehot_y=True),
        "tversky": monai.TverskyLoss(alpha=0.3, beta=0.7, **options),
        "generalized_dice": monai.GeneralizedDiceLoss(**options),
        "dice_cross_entropy": monai.DiceCELoss(**options),
    }.items():
        found.setdefault(name, []).append(("MONAI", _channelled(peer)))
    return found


def _channelled(peer: Loss) -> Loss:
    return lambda logits, target: peer(logits, target.unsqueeze(1))


def seconds(work: Callable[[], object], logits: Tensor) -> float:
    """CPU time of the work where one thread does it, otherwise wall time."""
    if logits.is_cuda:
        torch.cuda.synchronize()
    clock = time.process_time if not logits.is_cuda and torch.get_num_threads() == 1 else time.perf_counter
    start = clock()
    work()
    if logits.is_cuda:
        torch.cuda.synchronize()
    return clock() - start


def step(loss: Loss, logits: Tensor, target: Tensor) -> float:
    """Seconds of one forward and backward."""
    logits.grad = None
    return seconds(lambda: loss(logits, target).backward(), logits)  # type: ignore[no-untyped-call]


def floor(logits: Tensor, repeats: int) -> float:
    """Seconds of reading the logits twice and writing a fresh gradient: a sum and a product."""

    def traffic() -> None:
        with torch.no_grad():
            logits.sum()
            torch.mul(logits, 2.0)

    return statistics.median([seconds(traffic, logits) for _ in range(repeats + 1)][1:])


def peak(name: str, label: str, shape: str, logits: Tensor, target: Tensor) -> float:
    """MiB that one forward and backward adds at its peak."""
    if not logits.is_cuda:
        return peak_of_process(name, label, shape)
    logits.grad = None
    gc.collect()
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    step(implementation(name, label), logits, target)
    return (torch.cuda.max_memory_allocated() - before) / 2**20


@cache
def peak_of_process(name: str, label: str, shape: str) -> float:
    """The peak of a process of its own."""
    command = [sys.executable, __file__, "--peak", name, label, shape]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def implementation(name: str, label: str) -> Loss:
    """Ours, ours compiled, or the peer of that label."""
    loss: Loss = getattr(ours, name)
    if label == "ours":
        return loss
    if label == "ours, compiled":
        return torch.compile(loss, dynamic=False)
    return dict(peers()[name])[label]


def resident(field: str) -> float:
    """MiB of the process: VmRSS now, VmHWM at most."""
    found = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found.group(1)) / 1024 if found else float("nan")


def measure_peak(name: str, label: str, shape: str) -> float:
    """Peak of this process over one step; a step on a few pixels first loads what is loaded lazily."""
    loss = implementation(name, label)
    step(loss, *scene((1, SHAPES[shape][1], 48, 48), "cpu"))
    logits, target = scene(SHAPES[shape], "cpu")
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")
    before = resident("VmRSS")
    step(loss, logits, target)
    return resident("VmHWM") - before


def scene(shape: tuple[int, int, int, int], device: str) -> tuple[Tensor, Tensor]:
    """Logits that half agree with blocky labels."""
    generator = torch.Generator().manual_seed(0)
    N, C, H, W = shape
    coarse = torch.randint(0, C, (N, 1, H // 32 + 1, W // 32 + 1), generator=generator).float()
    target = F.interpolate(coarse, size=(H, W), mode="nearest")[:, 0].long()
    logits = torch.randn(shape, generator=generator)
    logits.scatter_add_(1, target.unsqueeze(1), torch.full((N, 1, H, W), 2.0))
    return logits.to(device).requires_grad_(), target.to(device)


def main() -> int:
    """Time and print a Markdown table for each shape."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--compile", action="store_true", help="time our losses through torch.compile as well")
    parser.add_argument("--losses", nargs="+", default=list(peers()), choices=list(peers()))
    parser.add_argument("--shapes", nargs="+", default=list(SHAPES), choices=list(SHAPES))
    parser.add_argument("--peak", nargs=3, metavar=("LOSS", "LABEL", "SHAPE"), help="print one peak in MiB (CPU)")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.peak:
        print(measure_peak(*arguments.peak))
        return 0
    where = torch.cuda.get_device_name() if arguments.device == "cuda" else platform.processor() or platform.machine()
    print(f"{where}, {arguments.threads} thread(s), torch {torch.__version__}, {arguments.repeats} repeats")
    for shape in arguments.shapes:
        logits, target = scene(SHAPES[shape], arguments.device)
        base = floor(logits, arguments.repeats)
        size = logits.numel() * 4 / 2**20
        print(f"\n{shape}: logits {size:.0f} MiB; floor {1000 * base:.0f} ms\n")
        print("| loss | ms | x floor | peak MiB | peer | ms | ours / theirs | peak MiB |")
        print("|---|---|---|---|---|---|---|---|")
        for name in arguments.losses:
            labels = [label for label, _ in peers()[name]] + ["ours, compiled"] * arguments.compile
            for label in labels:
                row(name, label, shape, logits, target, base, arguments.repeats)
    return 0


def row(name: str, label: str, shape: str, logits: Tensor, target: Tensor, base: float, repeats: int) -> None:
    """Time a pair in turn and print its row."""
    pair = (implementation(name, "ours"), implementation(name, label))
    times: tuple[list[float], list[float]] = ([], [])
    for turn in range(repeats + 1):
        for loss, which in zip(pair, times, strict=True):
            taken = step(loss, logits, target)
            if turn:
                which.append(taken)
    first, second = (statistics.median(values) for values in times)
    mine, theirs = (peak(name, one, shape, logits, target) for one in ("ours", label))
    left = f"| `{name}` | {1000 * first:.0f} | {first / base:.1f} | {mine:.0f} "
    print(f"{left}| {label} | {1000 * second:.0f} | {first / second:.2f} | {theirs:.0f} |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
