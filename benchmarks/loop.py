"""``python -m benchmarks.loop``: `Accumulator.update` against torchmetrics, on CPU and, where there is one, GPU."""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torchmetrics

from segeval import Accumulator, Taxonomy

SHAPE = (4, 512, 1024)
CLASSES = 19
SEGMENTS = 40


def blocks(generator: np.random.Generator, count: int, size: int) -> Any:
    """Maps (N, H, W) of rectangles, noise at a hundredth of the pixels."""
    n, height, width = SHAPE
    cells = generator.integers(0, count, (n, height // size, width // size))
    maps = np.kron(cells, np.ones((1, size, size), np.int64))
    noise = generator.random(maps.shape) < 0.01
    return np.where(noise, generator.integers(0, count, maps.shape), maps)


def semantic(device: str) -> dict[str, tuple[Callable[[], None], Callable[[], float]]]:
    """A step of each contender, and its mIoU."""
    rng = np.random.default_rng(0)
    truth = torch.from_numpy(blocks(rng, CLASSES, 64)).to(device)
    noisy = torch.from_numpy(rng.random(SHAPE) < 0.1).to(device)
    labels = torch.where(noisy, (truth + 1) % CLASSES, truth)
    ours = Accumulator("semantic", classes=CLASSES)
    theirs = torchmetrics.classification.MulticlassJaccardIndex(CLASSES, validate_args=False).to(device)
    step = iter(range(10**9))

    def update() -> None:
        at = next(step)
        ours.update(prediction=labels, truth=truth, keys=[f"{at}/{i}" for i in range(SHAPE[0])])

    return {
        "segeval": (update, lambda: ours.compute()["mIoU"]),
        "torchmetrics": (lambda: theirs.update(labels, truth), lambda: float(theirs.compute())),
    }


def panoptic(device: str) -> dict[str, tuple[Callable[[], None], Callable[[], float]]]:
    """A step of each contender, and its PQ. Segments are unique within an image."""
    rng = np.random.default_rng(1)
    ids = np.stack([np.kron(np.arange(1, 1 + SEGMENTS).reshape(5, 8), np.ones((104, 128), np.int64))[:512]] * SHAPE[0])
    guess = np.roll(ids, 9, axis=2)
    classes = rng.integers(0, CLASSES, 1 + SEGMENTS)
    truth, prediction = torch.from_numpy(ids).to(device), torch.from_numpy(guess).to(device)
    info = [[{"id": i, "category_id": int(classes[i])} for i in range(1, 1 + SEGMENTS)]] * SHAPE[0]
    ours = Accumulator("panoptic", classes=Taxonomy(tuple(range(CLASSES)), things=(True,) * CLASSES))
    theirs = torchmetrics.detection.PanopticQuality(things=set(range(CLASSES)), stuffs={CLASSES}).to(device)
    category = torch.from_numpy(classes).to(device)
    pairs = [torch.stack([category[side], side], dim=-1) for side in (prediction, truth)]
    step = iter(range(10**9))

    def update() -> None:
        at = next(step)
        keys = [f"{at}/{i}" for i in range(SHAPE[0])]
        ours.update(prediction=(prediction, info), truth=(truth, info), keys=keys)

    return {
        "segeval": (update, lambda: ours.compute()["PQ"]),
        "torchmetrics": (lambda: theirs.update(*pairs), lambda: float(theirs.compute())),
    }


def main() -> None:
    """Race each task on each device, rounds in turn, and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.loop", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    torch.set_num_threads(1)
    print(f"a batch of {SHAPE[0]} maps of {SHAPE[1]} x {SHAPE[2]}, one thread, median of {args.rounds} rounds\n")
    print("| task | device | update | ms a batch | with the counts fetched | value |\n|---|---|---|---:|---:|---:|")
    for device in ("cpu", *(("cuda",) if torch.cuda.is_available() else ())):
        for task, make in (("semantic", semantic), ("panoptic", panoptic)):
            contenders = make(device)
            values = {}
            for name, (step, value) in contenders.items():
                step()
                values[name] = value()
            assert abs(values["segeval"] - values["torchmetrics"]) < 1e-5, values
            taken: dict[str, list[tuple[float, float]]] = {name: [] for name in contenders}
            for _ in range(args.rounds):
                for name, (step, _value) in contenders.items():
                    taken[name].append(timed(step, device))
            for name, samples in taken.items():
                returned, done = (1000 * statistics.median(column) for column in zip(*samples, strict=True))
                print(f"| {task} | {device} | {name} | {returned:.1f} | {done:.1f} | {values[name]:.6f} |")


def timed(step: Callable[[], None], device: str) -> tuple[float, float]:
    """Seconds until the call returns, and until the device is done."""
    if device == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    step()
    returned = time.perf_counter() - start
    if device == "cuda":
        torch.cuda.synchronize()
    return returned, time.perf_counter() - start


if __name__ == "__main__":
    main()
