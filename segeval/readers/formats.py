"""The formats, and telling which one a path holds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from segeval import plugins
from segeval.errors import SegevalError
from segeval.plugins import own_or_plugin
from segeval.readers.coco.panoptic import find_json, is_panoptic
from segeval.readers.maps.labels import EXTENSIONS, read_labels
from segeval.readers.pairing import list_files
from segeval.readers.protocol import Opener, Reader
from segeval.samples.taxonomy import Taxonomy
from segeval.storage.json_files import read_json


@dataclass(frozen=True)
class Format:
    """What a path may hold.

    Parameters
    ----------
    task
        Whose images it holds: ``semantic``, ``panoptic`` or ``instance``.
    about
        What it is, in a line.
    open
        How it is opened, if a package brings it.
    """

    task: str
    about: str
    open: Opener | None = None


FORMATS: dict[str, Format] = {
    "labels": Format("semantic", "label maps, one class id a pixel (PNG, NPY, NPZ, TIFF)"),
    "coco-panoptic": Format("panoptic", "COCO panoptic JSON with its folder of RGB PNGs"),
    "panoptic-coded": Format("panoptic", "maps of class * 1000 + instance (PNG, NPY, NPZ, TIFF)"),
    "panoptic-channels": Format("panoptic", "PNGs of two channels: R class, G instance"),
    "coco-instances": Format("instance", "COCO instances JSON"),
    "coco-results": Format("instance", "COCO results JSON"),
    "instance-ids": Format("instance", "maps of instance ids, or class * 1000 + instance (PNG, NPY, TIFF)"),
    "instance-npz": Format("instance", "NPZ files with masks or rle, labels and scores"),
}


def require_path(path: Path) -> None:
    """Refuse a path that isn't there.

    Raises
    ------
    SegevalError
        With the nearest existing folder.
    """
    try:
        exists = path.exists()
    except OSError as error:
        raise SegevalError(f"can't be read ({error.strerror})", file=path, remedy="check its permissions") from None
    if exists:
        return
    up = next((p for p in path.parents if p.exists()), Path())
    raise SegevalError("no such file or folder", file=path, remedy=f"{up.resolve()} is the last part that exists")


def format_of(name: str) -> Format:
    """A format by its name: ours, or one that a package brings.

    Raises
    ------
    SegevalError
        Suggesting the nearest name.
    """
    found = own_or_plugin(name, FORMATS, plugins.FORMATS, "format")
    if not isinstance(found, Format) or (found.open is None and name not in FORMATS):
        raise SegevalError(f"the plugin {name!r} is no Format that can be opened", remedy="upgrade or remove it")
    return found


def open_plugin(name: str | None, path: Path, side: str, taxonomy: Taxonomy | None, suffix: str) -> Reader | None:
    """One side in a format that a package brings; None for formats of our own."""
    opener = None if name is None else format_of(name).open
    return None if opener is None else opener(path, side, taxonomy, suffix)


def named_classes(reader: Reader | None) -> Taxonomy | None:
    """The classes that a reader of a package's format names, if it does."""
    found = getattr(reader, "taxonomy", None)
    return found if isinstance(found, Taxonomy) else None


def check_format(name: str, task: str) -> str:
    """A format's name, if it is one of the task's.

    Raises
    ------
    SegevalError
        Naming the task's formats.
    """
    fitting = [n for n, f in FORMATS.items() if f.task == task]
    if format_of(name).task != task:
        raise SegevalError(f"{name!r} is no format of the {task} task", remedy=f"give one of {', '.join(fitting)}")
    return name


def recognise_panoptic(path: Path, option: str) -> str:
    """The panoptic format at a path.

    Raises
    ------
    SegevalError
        If it can't be told.
    """
    if path.suffix.lower() == ".json":
        return "coco-panoptic"
    if path.is_dir() and find_json(path) is not None:
        return "coco-panoptic"
    files = list_files(path, EXTENSIONS, "panoptic")
    first = next(iter(files.values()))
    pixels = read_labels(first)
    if pixels.ndim == 2:
        return "panoptic-coded"
    if pixels.ndim == 3 and pixels.dtype == np.uint8 and pixels.shape[2] >= 3 and not pixels[..., 2].any():
        return "panoptic-channels"
    raise SegevalError(
        "is a colour PNG without a panoptic JSON in or beside its folder",
        file=first,
        remedy=f"give the JSON instead of the folder, or name the format by {option}",
    )


def recognise_task(gt: Path) -> str:
    """The task that a truth is for, where it can be told.

    Raises
    ------
    SegevalError
        If several tasks fit.
    """
    require_path(gt)
    if gt.suffix.lower() == ".json":
        data = read_json(gt)
        if is_panoptic(data):
            return "panoptic"
        if isinstance(data, dict) and isinstance(data.get("annotations"), list):
            return "instance"
        raise SegevalError(
            "is no COCO truth (no list 'annotations')", file=gt, remedy="give the truth's JSON, or --task"
        )
    if gt.is_dir() and find_json(gt) is not None:
        return "panoptic"
    first = next(iter(list_files(gt, EXTENSIONS, "semantic").values()))
    pixels = read_labels(first)
    if pixels.ndim == 3:
        return "panoptic"
    if pixels.dtype == np.uint8:
        return "semantic"
    raise SegevalError(
        f"holds {pixels.dtype} values: class ids, instance ids, or class * 1000 + instance",
        file=first,
        remedy="say which by --task semantic, --task instance or --task panoptic",
    )
