"""Telling what a path holds: the format, and the task that it is for."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from segeval.errors import SegevalError
from segeval.readers.coco.panoptic import find_json, is_panoptic
from segeval.readers.formats import require_path
from segeval.readers.maps.labels import EXTENSIONS, read_labels
from segeval.readers.pairing import list_files
from segeval.storage.json_files import read_bytes, read_json
from segeval.storage.mounts import present


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


def recognise(path: Path) -> str:
    """The form of what lies at a path.

    Raises
    ------
    SegevalError
        If several fit.
    """
    require_path(path)
    if path.suffix.lower() == ".json":
        with present(path).open("rb") as stream:
            head = stream.read(4096).lstrip(b"\xef\xbb\xbf \t\r\n")
        if head.startswith(b"["):
            return "coco-results"
        return "coco-panoptic" if b'"segments_info"' in read_bytes(path) else "coco-instances"
    if path.is_dir() and find_json(path) is not None:
        return "coco-panoptic"
    first = next(iter(list_files(path, EXTENSIONS, "semantic").values()))
    if first.suffix.lower() == ".npz" and _holds_masks(first):
        return "instance-npz"
    pixels = read_labels(first)
    if pixels.ndim == 3:
        return recognise_panoptic(path, "--from")
    if pixels.dtype == np.uint8:
        return "labels"
    raise SegevalError(
        f"holds {pixels.dtype} values: class ids, instance ids, or class * 1000 + instance",
        file=first,
        remedy="say which by --from labels, --from instance-ids or --from panoptic-coded",
    )


def _holds_masks(path: Path) -> bool:
    try:
        with zipfile.ZipFile(present(path)) as archive:
            return bool({"masks.npy", "rle.npy"} & set(archive.namelist()))
    except (OSError, zipfile.BadZipFile):
        return False  # what reads the file says what is wrong with it
