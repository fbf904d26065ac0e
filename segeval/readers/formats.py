"""The formats: what each holds, and how one side in it is opened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from segeval import plugins
from segeval.errors import SegevalError
from segeval.plugins import own_or_plugin
from segeval.readers.coco.instances import CocoInstances, CocoResults
from segeval.readers.coco.panoptic import CocoPanoptic
from segeval.readers.maps.instances import OBJECT, InstanceFolder
from segeval.readers.maps.labels import LabelFolder
from segeval.readers.maps.panoptic import CodedPanoptic, with_things
from segeval.readers.protocol import Opener, Reader, Side
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
        How it is opened, where path, side, classes and suffix are enough.
    reader
        How it is opened otherwise: from all that is known of a side.
    only
        The side that alone can be in it; empty for both.
    """

    task: str
    about: str
    open: Opener | None = None
    reader: Callable[[Side], Reader] | None = None
    only: str = ""


def _labels(side: Side) -> Reader:
    return LabelFolder.open(side.path, side.name, side.suffix)


def _coco_panoptic(side: Side) -> Reader:
    return CocoPanoptic.open(side.path, side.name, (0,) if side.void is None else side.void)


def _panoptic_coded(side: Side, channels: bool = False) -> Reader:
    void = (0,) if side.void is None else side.void
    maps = CodedPanoptic.open(side.path, side.name, channels=channels, void=void, suffix=side.suffix)
    return with_things(maps, side.taxonomy) if side.name == "truth" else maps


def _coco_instances(side: Side) -> Reader:
    return CocoInstances(side.path, side.masks)


def _coco_results(side: Side) -> Reader:
    if not isinstance(side.truth, CocoInstances):
        raise SegevalError("results need an instances JSON as truth", file=side.path, remedy="give a folder of maps")
    return CocoResults(side.path, side.truth, side.masks, strict=side.reading.missing == "error")


def _instance_maps(side: Side) -> Reader:
    if not side.masks:
        raise SegevalError("maps of instances hold masks, no boxes", file=side.path, remedy="score with --iou segm")
    return InstanceFolder.open(side.path, side.name, OBJECT if side.taxonomy is None else side.taxonomy, side.suffix)


_MAPS = "PNG, NPY, NPZ, TIFF, BMP, GIF, WebP"

# A new format is a line here; where it is to be recognised, `segeval.readers.recognition` tells it from the others.
FORMATS: dict[str, Format] = {
    "labels": Format(
        "semantic", "label maps, one class id a pixel (PNG, NPY, NPZ, TIFF, BMP, GIF, WebP, JPEG)", reader=_labels
    ),
    "coco-panoptic": Format("panoptic", "COCO panoptic JSON with its folder of RGB PNGs", reader=_coco_panoptic),
    "panoptic-coded": Format(
        "panoptic",
        f"maps of class * 1000 + instance ({_MAPS})",
        reader=_panoptic_coded,
    ),
    "panoptic-channels": Format(
        "panoptic", "PNGs of two channels: R class, G instance", reader=partial(_panoptic_coded, channels=True)
    ),
    "coco-instances": Format("instance", "COCO instances JSON", reader=_coco_instances, only="truth"),
    "coco-results": Format("instance", "COCO results JSON", reader=_coco_results, only="prediction"),
    "instance-ids": Format(
        "instance",
        f"maps of instance ids, or class * 1000 + instance ({_MAPS})",
        reader=_instance_maps,
    ),
    "instance-npz": Format("instance", "NPZ files with masks or rle, labels and scores", reader=_instance_maps),
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
    if not isinstance(found, Format) or (found.open is None and found.reader is None):
        raise SegevalError(f"the plugin {name!r} is no Format that can be opened", remedy="upgrade or remove it")
    return found


def open_side(side: Side) -> Reader:
    """One side, in whatever format it is.

    Raises
    ------
    SegevalError
        What its reader refuses.
    """
    form = format_of(side.form)
    if form.reader is not None:
        return form.reader(side)
    assert form.open is not None
    return form.open(side.path, side.name, side.taxonomy, side.suffix)


def named_classes(reader: Reader | None) -> Taxonomy | None:
    """The classes that a reader's files name, if they do."""
    found = getattr(reader, "taxonomy", None)
    return found if isinstance(found, Taxonomy) else None


def fitting(task: str = "", side: str = "") -> list[str]:
    """Our formats of a task that a side can be in; of any task, and either side, where none is said."""
    return [n for n, f in FORMATS.items() if task in ("", f.task) and (not side or f.only in ("", side))]


def check_format(name: str, task: str, side: str = "") -> str:
    """A format's name, if it is one of the task's, and one that the side can be in.

    Raises
    ------
    SegevalError
        Naming the formats that fit.
    """
    form = format_of(name)
    remedy = f"give one of {', '.join(fitting(task, side))}"
    if form.task != task:
        raise SegevalError(f"{name!r} is no format of the {task} task", remedy=remedy)
    if side and form.only not in ("", side):
        raise SegevalError(f"{name!r} is a format of the {form.only}, not of the {side}", remedy=remedy)
    return name
