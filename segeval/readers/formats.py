"""The formats, and telling which one a path holds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from segeval import plugins
from segeval.errors import SegevalError
from segeval.plugins import own_or_plugin
from segeval.readers.protocol import Opener, Reader
from segeval.samples.taxonomy import Taxonomy


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
