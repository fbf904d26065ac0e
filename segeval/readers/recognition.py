"""Telling what a path holds: its format, and the task that it is for."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from segeval.errors import SegevalError
from segeval.readers.coco.panoptic import find_json
from segeval.readers.coco.tables import form_of_json
from segeval.readers.formats import FORMATS, fitting, require_path
from segeval.readers.listing import list_files
from segeval.readers.maps.labels import EXTENSIONS, read_map
from segeval.samples.blocks import first_rows
from segeval.storage.mounts import present

# The formats that are told by a look: of one file with objects, and of pixels.
JSON = ("coco-panoptic", "coco-instances", "coco-results")
MAPS = ("labels", "panoptic-coded", "panoptic-channels", "instance-ids", "instance-npz")


class Told(NamedTuple):
    """What a path holds, as far as it can be told.

    Parameters
    ----------
    fits
        The formats that fit, the likeliest first; none where nothing known does.
    file
        What was looked at.
    doubt
        Why the likeliest can't be taken for granted; empty where it can.
    remedy
        What then helps; ``{option}`` stands for the option that names the answer, ``{ways}`` for all that it may say.
    """

    fits: tuple[str, ...]
    file: Path
    doubt: str = ""
    remedy: str = ""

    def refusal(self, option: str, answers: Sequence[str]) -> SegevalError:
        """The error that asks which of several answers is meant."""
        *others, last = [f"{option} {answer}" for answer in answers] or [option]
        ways = f"{', '.join(others)} or {last}" if others else last
        return SegevalError(self.doubt, file=self.file, remedy=self.remedy.format(option=option, ways=ways))


def tell(path: Path, task: str = "", side: str = "", suffix: str = "") -> Told:
    """What a path holds; no more of it is read than the question needs.

    Parameters
    ----------
    path
        A folder or a file.
    task
        Only this task's formats come into question; all if empty.
    side
        Only formats that this side can be in come into question; all if empty.
    suffix
        Only files whose names end so are looked at.

    Raises
    ------
    SegevalError
        If it can't be read.
    """
    asked = fitting(task, side)
    is_json = path.suffix.lower() == ".json"
    fits = [name for name in asked if name in (JSON if is_json else MAPS)] or [name for name in asked if name in MAPS]
    alone = len({FORMATS[name].reader for name in fits}) == 1  # what one reader takes need not be told apart
    if is_json and not alone:
        form = form_of_json(path)
        if form in fits:
            return Told((form,), path)
        return Told((), path, "is no COCO truth (no list 'annotations')", "give the truth's JSON, or {option}")
    if "coco-panoptic" in asked and path.is_dir() and find_json(path) is not None:
        return Told(("coco-panoptic",), path)
    return Told(tuple(fits[:1]), path) if alone else _told_by_pixels(path, asked, task, suffix)


def _told_by_pixels(path: Path, asked: Sequence[str], task: str, suffix: str) -> Told:
    """What a folder holds by its first file."""
    first = next(iter(list_files(path, EXTENSIONS, task or "semantic", suffix).values()))
    if "instance-npz" in asked and first.suffix.lower() == ".npz" and _holds_masks(first):
        return Told(("instance-npz",), first)
    pixels = first_rows(read_map(first))
    doubt, remedy = "", "say which by {ways}"
    likely = ["labels", "instance-ids", "panoptic-coded"]
    if pixels.ndim == 3:
        likely = ["panoptic-channels", "coco-panoptic"]
        if pixels.dtype != np.uint8 or pixels.shape[2] < 3 or pixels[..., 2].any():
            what = "is a colour PNG" if first.suffix.lower() == ".png" else f"holds an array of shape {pixels.shape}"
            doubt = f"{what} without a panoptic JSON in or beside its folder"
            remedy = "give the JSON instead of the folder, or name the format by {option}"
        elif _palette_like(pixels):
            doubt = "holds colours of a palette, or class and instance: red and green are multiples of 64"
            remedy = "name the format by {option} if it is class and instance, or convert colours to class ids"
    elif pixels.dtype != np.uint8:
        doubt = f"holds {pixels.dtype} values: class ids, instance ids, or class * 1000 + instance"
    fits = tuple(name for name in likely if name in asked)
    return Told(fits, first, doubt if len(fits) > 1 else "", remedy)


def _palette_like(pixels: NDArray[np.uint8]) -> bool:
    """Whether red and green hold what the common palettes are made of: 0, 64, 128 and 192."""
    return bool(pixels[..., :2].any()) and not (pixels[..., :2] % 64).any()


def _holds_masks(path: Path) -> bool:
    try:
        with zipfile.ZipFile(present(path)) as archive:
            return bool({"masks.npy", "rle.npy"} & set(archive.namelist()))
    except (OSError, zipfile.BadZipFile):
        return False  # what reads the file says what is wrong with it


def recognise(path: Path, option: str, *, task: str = "", side: str = "", suffix: str = "") -> str:
    """The format of what lies at a path.

    Parameters
    ----------
    path, task, side, suffix
        As for `tell`.
    option
        What names the format where it can't be told.

    Raises
    ------
    SegevalError
        If several fit.
    """
    require_path(path)
    told = tell(path, task, side, suffix)
    if not told.fits:
        return "coco-instances"  # whose reader says what the JSON lacks
    if told.doubt:
        raise told.refusal(option, told.fits)
    return told.fits[0]


def recognise_task(gt: Path, suffix: str = "") -> str:
    """The task that a truth is for, where it can be told.

    Raises
    ------
    SegevalError
        If nothing fits, or several tasks do.
    """
    require_path(gt)
    told = tell(gt, side="truth", suffix=suffix)
    tasks = list(dict.fromkeys(FORMATS[name].task for name in told.fits))
    if told.doubt and len(tasks) != 1:
        raise told.refusal("--task", tasks)
    return tasks[0]
