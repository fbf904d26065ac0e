"""What a COCO JSON is, and what it says beside its annotations: images, categories, licences."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from segeval.errors import SegevalError
from segeval.readers.coco.panoptic import find_json
from segeval.readers.coco.scanning import Mapped, members, value_at
from segeval.samples.pairs import Key
from segeval.storage.json_files import read_json
from segeval.storage.mounts import told_by_address
from segeval.storage.remote import located


def read_tables(path: Path) -> dict[str, Any]:
    """The members of a COCO JSON but its annotations, which are passed over.

    Raises
    ------
    SegevalError
        If the file can't be read, or is no JSON object.
    """
    source = Mapped(path)
    tables = _scan(source) if source.closed else None
    if tables is not None:
        return tables
    data = read_json(path)
    if not isinstance(data, dict):
        raise SegevalError("is a list, no COCO truth", file=path, remedy="give a JSON with images and categories")
    return {name: value for name, value in data.items() if name != "annotations"}


def _scan(source: Mapped) -> dict[str, Any] | None:
    """The members, by a walk along the top level; None on a surprise."""
    from segeval.kernels.decoding.json_tokens import skip

    text = source.bytes
    found: dict[str, Any] = {}

    def take(name: str, at: int) -> int:
        if name != "annotations":
            found[name], at = value_at(text, at)
            return at
        end = int(skip(text, at))
        source.release(at, end)
        return end

    return found if members(text, 0, take) == len(text) else None


def form_of_json(path: Path) -> str:
    """The form of a COCO JSON, a name of ``FORMATS``, or nothing; its first annotation tells, and is all that is read.

    Raises
    ------
    SegevalError
        If the file can't be read, or is no JSON.
    """
    source = Mapped(path)
    form = _scanned_form(source) if source.closed else None
    if form is not None:
        return form
    data = read_json(path)
    if isinstance(data, list):
        return "coco-results"
    listed = data.get("annotations") if isinstance(data, dict) else None
    if not isinstance(listed, list):
        return ""
    first = listed[0] if listed else None
    return "coco-panoptic" if isinstance(first, dict) and "segments_info" in first else "coco-instances"


def _scanned_form(source: Mapped) -> str | None:
    """The form, by a walk as far as the first annotation; None on a surprise."""
    from segeval.kernels.decoding.json_tokens import following, skip

    text = source.bytes
    forms: list[str] = []
    names: list[str] = []

    def first(name: str, at: int) -> int:
        names.append(name)
        return int(skip(text, at))

    def take(name: str, at: int) -> int:
        if name != "annotations":
            return int(skip(text, at))
        character, begin = following(text, at + 1)
        if text[at] != ord("["):
            forms.append("")
        elif character != ord("{"):
            forms.append("coco-instances")
        elif members(text, begin, first) > 0:
            forms.append("coco-panoptic" if "segments_info" in names else "coco-instances")
        return -1

    if following(text, 0)[0] == ord("["):
        return "coco-results"
    if members(text, 0, take) == len(text):
        return ""
    return forms[0] if forms else None


def image_entries(tables: dict[str, Any]) -> dict[Key, dict[str, Any]]:
    """The entries of a list of images by their ids; without such a list, none."""
    listed = tables.get("images")
    if not isinstance(listed, list):
        return {}
    return {e["id"]: e for e in listed if isinstance(e, dict) and isinstance(e.get("id"), (int, str))}


@told_by_address
def keys_by_name(gt: str | os.PathLike[str]) -> dict[str, Key]:
    """The images of a truth that is a COCO JSON by the names of their files: whole, without extension, without folder.

    Empty for any other truth. A name that two images share tells nothing, and is left out.

    Raises
    ------
    SegevalError
        If the truth can't be read.
    """
    place = located(gt)
    path = place.path
    if path.is_dir():
        path = find_json(path) or path
    if path.suffix.lower() != ".json":
        return {}
    found: dict[str, Key] = {}
    shared: set[str] = set()
    for key, entry in image_entries(read_tables(path)).items():
        stem = file_stem(entry)
        if stem is None:
            continue
        for name in {str(entry["file_name"]), stem, Path(str(entry["file_name"])).name, Path(stem).name}:
            if found.setdefault(name, key) != key:
                shared.add(name)
    return {name: key for name, key in found.items() if name not in shared}


def file_stem(entry: dict[str, Any]) -> str | None:
    """The name of an image's file without its extension, as other files of the image are named."""
    name = entry.get("file_name")
    return Path(name).with_suffix("").as_posix() if isinstance(name, str) and name else None
