"""What a member's network costs: parameters, operations, time and memory of one prediction.

Measured on scored images with the trained weights, from the pixels of a file to a prediction of the same size, because
what a detector does depends on what it sees, and resizing is part of every prediction.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.flop_counter import FlopCounterMode

from segeval.errors import SegevalError
from segeval.storage.files import write_atomic
from segeval_baselines.checkpoints.checkpoint import load_checkpoint
from segeval_baselines.cost import parameters, peak_memory
from segeval_baselines.data.samples import read_image
from segeval_baselines.group import device_of
from segeval_baselines.prediction.folders import made_ready
from segeval_baselines.suite.form import Member, Suite
from segeval_baselines.suite.ledger import digest_of
from segeval_baselines.suite.members import folder_of, runs_of
from segeval_baselines.suite.runs import Run, device_name

NAME = "measure.json"

IMAGES = 9
"""Images that are timed, evenly spaced; the median counts."""


@dataclass(frozen=True)
class Measure:
    """Of one image, on average or in the median.

    Attributes
    ----------
    parameters
        All of them, fixed ones included.
    gflops
        Mean of 10^9 floating-point operations of convolutions and matrix products; a multiply-add counts two.
    latency
        Median milliseconds from pixels to prediction: of CPU time where one thread computes, which other work on the
        machine disturbs little; else on the wall.
    memory
        Largest MiB allocated on the way, weights included.
    size
        Height and width of the first image.
    device, threads, torch
        Where that was.
    """

    parameters: int
    gflops: float
    latency: float
    memory: float
    size: tuple[int, int]
    device: str
    threads: int
    torch: str


def measured(suite: Suite, member: Member, root: Path, device: str = "auto") -> Measure | None:
    """The measure of a member's first seed: read again where nothing has changed, else taken; None without a network.

    Nothing else should run meanwhile.
    """
    if not member.model:
        return None
    run = runs_of(suite, member, root, device)[0]
    record = run.ledger.read().get("train")
    if record is None or not record.done:
        return None
    place = folder_of(root, member) / NAME
    inputs = digest_of(
        {
            "weights": record.output,
            "images": run.splits.fingerprint(),
            "clock": "CPU" if _counts_cpu(device_of(device)) else "wall",
            "device": device_name(device),
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
        }
    )
    found = _read(place)
    if found is not None and found[0] == inputs:
        return found[1]
    try:
        taken = take(run)
    except SegevalError:
        return None
    write_atomic(place, json.dumps({"inputs": inputs, **asdict(taken)}, indent=1) + "\n")
    return taken


def _read(place: Path) -> tuple[str, Measure] | None:
    try:
        content: dict[str, Any] = json.loads(place.read_text(encoding="utf-8"))
        inputs = str(content.pop("inputs"))
        return inputs, Measure(**{**content, "size": tuple(content["size"])})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def take(run: Run) -> Measure:
    """Measure a trained run on this machine.

    Raises
    ------
    SegevalError
        If its checkpoint or images can't be read.
    """
    place = device_of(run.device)
    checkpoint = load_checkpoint(run.training, place)
    ready = made_ready(checkpoint, place, method=run.member.instances or None)
    files = sorted(run.splits.scored.images.iterdir())
    chosen = [files[len(files) * k // IMAGES] for k in range(min(IMAGES, len(files)))]
    images = [read_image(path) for path in dict.fromkeys(chosen)]
    times = [_seconds(ready.find, image, place) for image in (images[0], *images)][1:]  # the first one warms up
    counter = FlopCounterMode(display=False)
    with counter:
        for image in images:
            ready.find(image)
    memory = peak_memory(lambda: ready.find(images[0]), place)
    if place.type != "cuda":
        memory += sum(t.numel() * t.element_size() for t in ready.network.state_dict().values())
    return Measure(
        parameters=parameters(ready.network),
        gflops=round(counter.get_total_flops() / len(images) / 1e9, 3),
        latency=round(1000 * statistics.median(times), 2),
        memory=round(memory / 2**20, 1),
        size=(images[0].shape[0], images[0].shape[1]),
        device=device_name(run.device),
        threads=torch.get_num_threads(),
        torch=torch.__version__,
    )


def _seconds(one: Callable[[NDArray[np.uint8]], object], image: NDArray[np.uint8], place: torch.device) -> float:
    clock = time.process_time if _counts_cpu(place) else time.perf_counter
    if place.type == "cuda":
        torch.cuda.synchronize(place)
    begun = clock()
    one(image)
    if place.type == "cuda":
        torch.cuda.synchronize(place)
    return clock() - begun


def _counts_cpu(place: torch.device) -> bool:
    return place.type == "cpu" and torch.get_num_threads() == 1
