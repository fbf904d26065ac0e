"""A data set of a few tiny images, on disk, and a job on it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from segeval_baselines.recipes import Recipe
from segeval_baselines.training.jobs import Budget, Job

NAMES = ("ground", "box", "ball")
COLOURS = ((60, 120, 60), (200, 60, 60), (60, 60, 210))
VOID_ID = 9
SMALL = {"width": 4, "depth": 2, "norm": True}


def draw(rng: np.random.Generator, height: int, width: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """An image and its class ids: a box, a ball, a void rim at the bottom."""
    labels = np.zeros((height, width), np.uint8)
    y, x = rng.integers(0, height - 16), rng.integers(0, width - 16)
    labels[y : y + 14, x : x + 14] = 1
    rows, columns = np.mgrid[:height, :width]
    cy, cx = rng.integers(8, height - 8), rng.integers(8, width - 8)
    labels[(rows - cy) ** 2 + (columns - cx) ** 2 < 49] = 2
    image = np.array(COLOURS)[labels] + rng.integers(-20, 20, (height, width, 3))
    labels[-2:] = VOID_ID
    return image.astype(np.uint8), labels


def write_toy(root: Path, *, train: int = 6, val: int = 4, size: tuple[int, int] = (48, 64)) -> Path:
    """A folder as ``folder:PATH`` reads it."""
    rng = np.random.default_rng(5)
    (root / "images").mkdir(parents=True)
    (root / "labels").mkdir()
    for split, count in (("train", train), ("val", val), ("test", val)):
        stems = [f"{split}{k}" for k in range(count)]
        (root / f"{split}.txt").write_text("\n".join(stems) + "\n")
        for stem in stems:
            image, labels = draw(rng, *size)
            Image.fromarray(image).save(root / "images" / f"{stem}.png")
            Image.fromarray(labels).save(root / "labels" / f"{stem}.png")
    (root / "classes.json").write_text(json.dumps({"classes": list(NAMES), "palette": COLOURS, "void": VOID_ID}))
    return root


def toy_job(root: Path, iterations: int = 6, **changes: Any) -> Job:
    """A small U-Net for a few steps."""
    recipe = changes.pop("recipe", Recipe(batch=2, scales=(0.8, 1.25), colour=0.1))
    return Job(
        "unet",
        f"folder:{root}",
        recipe,
        Budget(iterations=iterations),
        options={**SMALL, "dropout": 0.2, "shrink": 1},
        device="cpu",
        validations=changes.pop("validations", 2),
        **changes,
    )
