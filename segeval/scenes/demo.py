"""The demo's data: scenes, their truth, and what the two imaginary models make of them."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from segeval.errors import SegevalError
from segeval.samples.label_images import write_png
from segeval.scenes.models import MODELS, predict
from segeval.scenes.street import make_scene
from segeval.scenes.writers import PredictionWriter, TruthWriter, scene_name
from segeval.storage.files import write_json

MARKER = "demo.json"
_MAKER = "segeval demo"
# What the demo owns in its folder; anything else in there is left alone.
_PARTS = ("images", "truth", *MODELS, "runs")


def write_demo(
    folder: str | os.PathLike[str],
    count: int = 24,
    *,
    seed: int = 0,
    height: int = 192,
    width: int = 256,
    progress: Callable[[int, int], object] | None = None,
) -> Path:
    """Make the demo's folder, or make it anew.

    Parameters
    ----------
    folder
        Receives ``images``, ``truth`` and, for each model, a folder of predictions (see `TruthWriter` and
        `PredictionWriter`). Everything is made beside it and moved there when complete; runs of an earlier demo in
        the folder are removed.
    count
        How many scenes.
    seed, height, width
        As for `make_scene`.
    progress
        Called with the scenes done and `count`.

    Raises
    ------
    SegevalError
        If the folder holds anything but an earlier demo, or can't be written to; if `count` is below 1.
    """
    target = Path(folder)
    if count < 1:
        raise SegevalError(f"{count} scenes make no demo", remedy="ask for 1 or more")
    require_own_folder(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        stage = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent))
    except OSError as error:
        raise _unwritable(target, error) from None
    try:
        _make(stage, count, seed, height, width, progress)
        _install(stage, target, {"made_by": _MAKER, "images": count, "seed": seed, "size": [width, height]})
    except OSError as error:
        raise _unwritable(target, error) from None
    finally:
        shutil.rmtree(stage, ignore_errors=True)
    return target


def require_own_folder(folder: Path) -> None:
    """Refuse a folder that holds anything but an earlier demo.

    Raises
    ------
    SegevalError
        If it is a file, or neither empty nor marked.
    """
    other = "give --out another folder"
    try:
        if not folder.exists():
            return
        if not folder.is_dir():
            raise SegevalError("is a file, not a folder", file=folder, remedy=other)
        if not any(folder.iterdir()):
            return
        mark = folder / MARKER
        data = json.loads(mark.read_text(encoding="utf-8")) if mark.is_file() else None
    except OSError as error:
        raise SegevalError(f"can't be read ({error.strerror})", file=folder, remedy=other) from None
    except ValueError:
        data = None
    if not isinstance(data, dict) or data.get("made_by") != _MAKER:
        raise SegevalError("holds something else than a demo, which is left untouched", file=folder, remedy=other)


def _unwritable(target: Path, error: OSError) -> SegevalError:
    reason = (error.strerror or str(error)).lower()
    return SegevalError(f"can't be written ({reason})", file=target, remedy="give --out a folder that you may write to")


def _make(
    stage: Path, count: int, seed: int, height: int, width: int, progress: Callable[[int, int], object] | None
) -> None:
    truth = TruthWriter(stage / "truth")
    writers = {name: PredictionWriter(stage / name) for name in MODELS}
    for index in range(count):
        scene = make_scene(index, seed=seed, height=height, width=width)
        write_png(stage / "images" / f"{scene_name(index)}.png", scene.image)
        truth.add(index, scene)
        for name, model in MODELS.items():
            answer = predict(scene, model, index, seed=seed)
            found = tuple((g.category, g.score, g.mask) for g in answer.guesses)
            writers[name].add(index, answer.labels, answer.ids, answer.segments, found)
        if progress:
            progress(index + 1, count)
    truth.close()
    for writer in writers.values():
        writer.close()


def _install(stage: Path, target: Path, mark: dict[str, object]) -> None:
    """Move the parts into place. The mark comes first: a demo that was cut off here can be made again."""
    target.mkdir(parents=True, exist_ok=True)
    write_json(target / MARKER, mark)
    for part in _PARTS:
        old, new = target / part, stage / part
        if old.exists():
            # Moved away before it is deleted, so that no part is ever half of itself.
            old.replace(stage / f"old-{part}")
        if new.exists():
            new.replace(old)
