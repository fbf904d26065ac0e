"""Scenes on disk, with their truth in every form."""

from __future__ import annotations

from pathlib import Path

from segeval.errors import SegevalError
from segeval.samples.label_images import write_png
from segeval.scenes.street import make_scene
from segeval.scenes.writers import TruthWriter, scene_name


def write_scenes(folder: Path, count: int, *, seed: int = 0, height: int = 192, width: int = 256) -> Path:
    """Make scenes 0 to `count` - 1: ``images/*.png`` and, in ``truth``, what `TruthWriter` lists."""
    if count < 1:
        raise SegevalError(f"{count} scenes can't be written", remedy="ask for 1 or more")
    truth = TruthWriter(folder / "truth")
    for index in range(count):
        scene = make_scene(index, seed=seed, height=height, width=width)
        write_png(folder / "images" / f"{scene_name(index)}.png", scene.image)
        truth.add(index, scene)
    truth.close()
    return folder
