"""A split as folders that ``segeval predict`` and ``segeval score`` read: images, truth, and the list of classes."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from segeval.errors import SegevalError
from segeval.storage.files import write_atomic, write_json
from segeval.storage.json_files import read_json
from segeval_baselines.data.folders import FolderPair
from segeval_baselines.data.object_truth import export_images, export_truth
from segeval_baselines.data.objects import ObjectSamples
from segeval_baselines.data.samples import VOID, Samples
from segeval_baselines.prediction.pictures import png
from segeval_baselines.suite.ledger import digest_of


@dataclass(frozen=True)
class Exported:
    """Where an exported split lies.

    Attributes
    ----------
    folder
        Holds ``images/``, ``truth/`` and ``classes.json``.
    keys
        The images.
    file
        The truth is this file of ``truth/``; the folder itself if empty.
    most_objects
        Objects of the image that has most; 0 where there are none.
    """

    folder: Path
    keys: tuple[str, ...]
    file: str = ""
    most_objects: int = 0

    @property
    def images(self) -> Path:
        """The folder of images."""
        return self.folder / "images"

    @property
    def truth(self) -> Path:
        """The folder of label maps, or the JSON of objects."""
        return self.folder / "truth" / self.file

    @property
    def classes(self) -> Path:
        """The classes and the void values."""
        return self.folder / "classes.json"


def fingerprint_of_labels(samples: Samples) -> str:
    """A hash of what a split of label maps holds.

    Of files: their names, sizes and times of change, and not where they lie. Of scenes, which are drawn: how many, and
    the first one's pixels.
    """
    taxonomy = samples.taxonomy.to_dict()
    if isinstance(samples, FolderPair):
        rows = [_row(key, path) for files in (samples.images, samples.labels) for key, path in files.items()]
        return digest_of({"classes": taxonomy, "void": samples.void, "files": rows})
    keys = list(samples.keys())
    first = samples.load(keys[0])
    seen = hashlib.sha256(first.image.tobytes() + first.labels.tobytes()).hexdigest()
    return digest_of({"classes": taxonomy, "name": samples.name, "keys": keys, "first": seen})


def fingerprint_of_objects(samples: ObjectSamples) -> str:
    """The same of a split with objects; of COCO's panoptic data the JSON stands for its PNGs."""
    pictures, maps, truth = (getattr(samples, name, None) for name in ("pictures", "maps", "truth"))
    files = dict(getattr(pictures, "files", getattr(samples, "images", {})))
    rows = [_row(key, path) for group in (files, getattr(maps, "files", {})) for key, path in group.items()]
    if isinstance(path := getattr(truth, "path", None), Path):
        rows.append(_row("", path))
    keys = list(samples.keys())
    first = samples.load(keys[0])
    seen = hashlib.sha256(first.image.tobytes() + first.masks.tobytes() + first.labels.tobytes()).hexdigest()
    about = {"keys": keys, "ids": list(samples.image_ids().values()), "files": rows, "first": seen}
    return digest_of({"classes": samples.taxonomy.to_dict(), **about})


def _row(key: str, path: Path) -> tuple[str, str, int, int]:
    seen = path.stat()
    return key, path.name, seen.st_size, seen.st_mtime_ns


def export_labels(samples: Samples, folder: Path, name: str) -> Exported:
    """Write a split of label maps below a folder, unless it is there already.

    Files are linked where the system allows it, else copied; scenes are drawn. The split's own folder bears its
    fingerprint, and appears whole or not at all, so that several processes may export at once.

    Raises
    ------
    SegevalError
        If the folder can't be written to.
    """
    place = folder / f"{name}-{fingerprint_of_labels(samples)[:12]}"
    made = Exported(place, tuple(samples.keys()))
    _appear(place, lambda temporary: _write(samples, Exported(temporary, made.keys)))
    return made


def export_objects(samples: ObjectSamples, folder: Path, name: str, file: str) -> Exported:
    """Write a split with objects below a folder, as `export_labels` does; the truth that counts is a file of its own.

    Raises
    ------
    SegevalError
        If the folder can't be written to, or the data have no such truth.
    """
    place = folder / f"{name}-objects-{fingerprint_of_objects(samples)[:12]}"

    def write(temporary: Path) -> None:
        export_images(samples, temporary / "images")
        truth = export_truth(samples, temporary / "truth")
        write_json(temporary / "most.json", {"objects": truth.most_objects})

    _appear(place, write)
    if not (place / "truth" / file).is_file():
        raise SegevalError(f"{samples.name} has no panoptic truth", remedy="score instances, or give other data")
    return Exported(place, tuple(samples.keys()), file, int(read_json(place / "most.json")["objects"]))


def _appear(place: Path, write: Callable[[Path], None]) -> None:
    """Make a folder whole or not at all, unless it is there."""
    if place.is_dir():
        return
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{place.name}.", dir=place.parent) as temporary:
            made = Path(temporary) / "split"
            write(made)
            try:
                made.rename(place)
            except OSError:
                if not place.is_dir():  # else another process was faster, with the same content
                    raise
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise SegevalError(f"can't be written ({reason})", file=place, remedy="give --out another folder") from None


def _write(samples: Samples, to: Exported) -> None:
    to.images.mkdir(parents=True)
    to.truth.mkdir()
    void: tuple[int, ...] = (VOID,)
    if isinstance(samples, FolderPair):
        void = samples.void
        _link(samples.images, to.images)
        _link(samples.labels, to.truth)
    else:
        ids = np.full(VOID + 1, VOID, np.uint8)
        ids[: len(samples.taxonomy)] = samples.taxonomy.ids
        for key in to.keys:
            sample = samples.load(key)
            write_atomic(to.images / f"{key}.png", png(Image.fromarray(sample.image)))
            write_atomic(to.truth / f"{key}.png", png(Image.fromarray(ids[sample.labels])))
    taxonomy = samples.taxonomy
    rows: list[dict[str, Any]] = [
        {"id": i, "name": n, "color": list(c)}
        for i, n, c in zip(taxonomy.ids, taxonomy.names, taxonomy.colours, strict=True)
    ]
    for row, thing in zip(rows, taxonomy.things or (), strict=False):
        row["isthing"] = int(thing)
    content = {"categories": rows, "void": list(void)}
    write_atomic(to.classes, json.dumps(content, indent=1) + "\n")


def _link(files: Mapping[str, Path], folder: Path) -> None:
    for key, path in files.items():
        target = folder / f"{key}{path.suffix.lower()}"
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            target.symlink_to(path.resolve())
        except OSError:
            shutil.copyfile(path, target)
