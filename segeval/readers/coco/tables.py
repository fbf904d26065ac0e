"""What a COCO JSON says beside its annotations: images, categories, licences; the annotations are passed over."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from segeval.errors import SegevalError
from segeval.readers.coco.panoptic import find_json
from segeval.readers.coco.scanning import Mapped
from segeval.samples.pairs import Key
from segeval.storage.json_files import read_json
from segeval.storage.remote import located


def read_tables(path: Path) -> dict[str, Any]:
    """The members of a COCO JSON but its annotations.

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
    from segeval.kernels.decoding.json_tokens import following, skip, string

    text = source.bytes
    found: dict[str, Any] = {}
    character, at = following(text, 0)
    if character != ord("{"):
        return None
    while True:
        character, at = following(text, at + 1)
        end, plain = string(text, at + 1) if character == ord('"') else (-1, False)
        if end < 0 or not plain:
            return None
        name = text[at + 1 : end].tobytes().decode()
        character, at = following(text, end + 1)
        if character != ord(":"):
            return None
        _, begin = following(text, at + 1)
        at = skip(text, begin)
        if at < 0:
            return None
        if name == "annotations":
            source.release(begin, at)
        else:
            try:
                found[name] = json.loads(text[begin:at].tobytes())
            except ValueError:
                return None
        character, at = following(text, at)
        if character == ord("}"):
            return found if at == len(text) - 1 else None
        if character != ord(","):
            return None


def image_entries(tables: dict[str, Any]) -> dict[Key, dict[str, Any]]:
    """The entries of a list of images by their ids; without such a list, none."""
    listed = tables.get("images")
    if not isinstance(listed, list):
        return {}
    return {e["id"]: e for e in listed if isinstance(e, dict) and isinstance(e.get("id"), (int, str))}


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
