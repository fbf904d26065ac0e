"""Micro-benchmark of the pixel machinery: reading label PNGs and counting pairs of labels or segments.

    python benchmarks/pixels.py [--rounds N] [--camvid FOLDER] [--coco FOLDER]

Prints CPU milliseconds per image (reading) or per pair (counting), medians over interleaved rounds. OpenCV and
hotcoco take part where they are installed. Every result is compared before anything is timed.
"""

from __future__ import annotations

import argparse
import importlib
import io
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segeval.kernels.counting.confusion import confusion_rows_u8
from segeval.kernels.counting.overlap import overlap_rgb
from segeval.readers.maps.png import Scratch, crc_of, decode_png, read_png


def _optional(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


cv2 = _optional("cv2")
semantic = _optional("hotcoco.semantic")


def street(seed: int, height: int = 1024, width: int = 2048, classes: int = 19) -> NDArray[np.uint8]:
    """A label map of smooth regions with ragged borders, about 20 changes a row, and some void (255)."""
    rng = np.random.default_rng(seed)
    rows = np.arange(height)
    image = np.empty((height, width), np.uint8)
    image[:] = rng.integers(0, classes)
    for _ in range(80):
        centre = rng.integers(0, height), rng.integers(0, width)
        tall, wide = rng.integers(30, height // 2), rng.integers(10, width // 10)
        drift = np.cumsum(rng.integers(-1, 2, (2, height)) * (rng.random((2, height)) < 0.4), axis=1)
        label = 255 if rng.random() < 0.06 else rng.integers(0, classes)
        for y in rows[max(0, centre[0] - tall) : centre[0] + tall]:
            bulge = int(wide * np.sqrt(max(0.0, 1 - ((y - centre[0]) / tall) ** 2)))
            left, right = centre[1] - bulge + drift[0, y], centre[1] + bulge + drift[1, y]
            image[y, max(0, left) : max(0, right)] = label
    return image


def perturbed(image: NDArray[Any], seed: int) -> NDArray[Any]:
    """The map shifted by a few pixels that vary slowly: what a model gets wrong."""
    rng = np.random.default_rng(seed)
    shifts = np.cumsum(rng.integers(-1, 2, image.shape[0]) * (rng.random(image.shape[0]) < 0.3))
    return np.stack([np.roll(row, int(s), axis=0) for row, s in zip(image, shifts, strict=True)])


def panoptic(seed: int, height: int = 480, width: int = 640) -> NDArray[np.uint8]:
    """Segment colours over a small street map."""
    colours = np.random.default_rng(seed).integers(0, 256, (256, 3), dtype=np.uint8)
    return colours[street(seed, height, width, 15)]


def encoded(image: NDArray[Any]) -> bytes:
    target = io.BytesIO()
    Image.fromarray(image).save(target, "PNG")
    return target.getvalue()


def timed(jobs: dict[str, Callable[[], Any]], rounds: int, count: int) -> dict[str, float]:
    """CPU milliseconds per item, the median over rounds."""
    spent: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(rounds):
        for name, job in jobs.items():
            begin = time.process_time()
            job()
            spent[name].append((time.process_time() - begin) * 1000 / count)
    return {name: statistics.median(values) for name, values in spent.items()}


def show(title: str, figures: dict[str, float]) -> None:
    ours = figures["segeval"]
    cells = "  ".join(f"{name} {value:7.3f} ({value / ours:4.1f}x)" for name, value in figures.items())
    print(f"{title:34s} {cells}", flush=True)


def reading(title: str, files: Sequence[bytes], rounds: int) -> None:
    scratch = Scratch()
    for data in files[:5]:
        with Image.open(io.BytesIO(data)) as image:
            assert np.array_equal(decode_png(data, file="", scratch=scratch).pixels, np.asarray(image))
    jobs: dict[str, Callable[[], Any]] = {
        "segeval": lambda: [decode_png(data, file="", scratch=scratch) for data in files],
        "no scratch": lambda: [decode_png(data, file="") for data in files],
        "Pillow": lambda: [np.asarray(Image.open(io.BytesIO(data))) for data in files],
    }
    if cv2 is not None:
        buffers = [np.frombuffer(data, np.uint8) for data in files]
        jobs["OpenCV"] = lambda: [cv2.imdecode(data, cv2.IMREAD_UNCHANGED) for data in buffers]
    show(title, timed(jobs, rounds, len(files)))


def counting(title: str, pairs: Sequence[tuple[NDArray[Any], NDArray[Any]]], rounds: int) -> None:
    table = np.zeros(65536, np.int64)
    jobs: dict[str, Callable[[], Any]] = {
        "segeval": lambda: [confusion_rows_u8(t, p, table) for t, p in pairs],
        "bincount": lambda: [
            np.bincount((t.astype(np.uint16) << 8 | p).reshape(-1), minlength=65536) for t, p in pairs
        ],
    }
    if semantic is not None:
        rival = semantic.SemanticEval(256, ignore_index=None)
        jobs["hotcoco"] = lambda: [rival.update(t, p) for t, p in pairs]
    for t, p in pairs[:3]:
        truth, prediction, pixels = confusion_rows_u8(t, p, table)
        expected = np.bincount((t.astype(np.uint16) << 8 | p).reshape(-1), minlength=65536)
        assert np.array_equal(expected[truth * 256 + prediction], pixels)
        assert pixels.sum() == t.size
    show(title, timed(jobs, rounds, len(pairs)))


def overlapping(title: str, pairs: Sequence[tuple[NDArray[Any], NDArray[Any]]], rounds: int) -> None:
    weights = np.array([1, 256, 65536], np.uint64)

    def sort(t: NDArray[Any], p: NDArray[Any]) -> Any:
        return np.unique((t @ weights) << np.uint64(32) | p @ weights, return_counts=True)

    for t, p in pairs[:3]:
        truth, prediction, pixels = overlap_rgb(t, p)
        keys, counts = sort(t, p)
        assert np.array_equal(truth.astype(np.uint64) << np.uint64(32) | prediction, keys)
        assert np.array_equal(pixels, counts)
    jobs = {
        "segeval": lambda: [overlap_rgb(t, p) for t, p in pairs],
        "np.unique": lambda: [sort(t, p) for t, p in pairs],
    }
    show(title, timed(jobs, rounds, len(pairs)))


def whole(title: str, paths: Sequence[Path], rounds: int) -> None:
    scratches = Scratch(), Scratch()
    table = np.zeros(65536, np.int64)

    def run() -> None:
        for path in paths:
            truth = read_png(path, scratch=scratches[0])
            prediction = read_png(path, scratch=scratches[1])
            crc_of(truth.pixels)
            if truth.pixels.ndim == 3:
                overlap_rgb(truth.pixels, prediction.pixels)
            else:
                confusion_rows_u8(truth.pixels, prediction.pixels, table)

    run()
    show(title, timed({"segeval": run}, rounds, len(paths)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--camvid", type=Path, help="a folder of label PNGs")
    parser.add_argument("--coco", type=Path, help="a folder of panoptic PNGs")
    options = parser.parse_args()
    streets = [street(k) for k in range(4)]
    guesses = [perturbed(image, k) for k, image in enumerate(streets)]
    scenes = [panoptic(k) for k in range(20)]
    scene_guesses = [perturbed(image, k) for k, image in enumerate(scenes)]
    noise = list(np.random.default_rng(0).integers(0, 256, (2, 1024, 2048), dtype=np.uint8))
    noise19 = [image % 19 for image in noise]
    rounds = options.rounds
    reading("read L 2048x1024 (Pillow)", [encoded(image) for image in guesses], rounds)
    if cv2 is not None:
        reading("read L 2048x1024 (OpenCV)", [cv2.imencode(".png", image)[1].tobytes() for image in guesses], rounds)
    reading("read I;16 2048x1024", [encoded(image.astype(np.uint16) * 257) for image in guesses[:2]], rounds)
    reading("read L noise 2048x1024", [encoded(noise19[0])], rounds)
    reading("read RGB 640x480 (Pillow)", [encoded(image) for image in scene_guesses], rounds)
    if cv2 is not None:
        reading("read RGB 640x480 (OpenCV)", [cv2.imencode(".png", i[:, :, ::-1])[1].tobytes() for i in scenes], rounds)
    counting("count 2048x1024", list(zip(streets, guesses, strict=True)), rounds)
    counting("count noise of 19 2048x1024", [(noise19[0], noise19[1])], rounds)
    counting("count noise of 256 2048x1024", [(noise[0], noise[1])], rounds)
    overlapping("overlap 640x480", list(zip(scenes, scene_guesses, strict=True)), rounds)
    for name, folder in (("labels", options.camvid), ("panoptic", options.coco)):
        if folder is None:
            continue
        paths = sorted(folder.glob("*.png"))[:100]
        reading(f"read real {name}", [path.read_bytes() for path in paths], rounds)
        images = [read_png(path).pixels for path in paths]
        pairs = [(image, np.ascontiguousarray(np.roll(image, 3, axis=1))) for image in images]
        (overlapping if name == "panoptic" else counting)(f"count real {name}", pairs, rounds)
        whole(f"read 2, count, digest real {name}", paths, rounds)


if __name__ == "__main__":
    main()
