"""What is known about images besides their pixels: which video they come from, whether it was night."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from segeval.errors import SegevalError
from segeval.samples.pairs import Key

T = TypeVar("T")


def read_attributes(path: str | os.PathLike[str]) -> dict[str, dict[str, str]]:
    """Attributes of images, by image: from CSV with a header whose first column is the image, or from JSON.

    JSON is ``{"image": {"attribute": value}}`` or a list of objects that have ``image``. Images are text here.
    An empty cell or null says nothing.

    Raises
    ------
    SegevalError
        If the file can't be read, has no attribute, or names an image twice.
    """
    text = _read(path)
    rows = _from_json(text, path) if Path(path).suffix.lower() == ".json" else _from_csv(text, path)
    out: dict[str, dict[str, str]] = {}
    for image, attributes in rows:
        if image in out:
            raise SegevalError(f"image {image!r} is listed twice", file=path, remedy="keep one line for each image")
        out[image] = {name: _word(value) for name, value in attributes.items() if value not in (None, "")}
    if not any(out.values()):
        raise SegevalError("says nothing about any image", file=path, remedy="give columns: image, attribute, ...")
    return out


def read_groups(path: str | os.PathLike[str]) -> dict[str, str]:
    """The group of each image, from a file as `read_attributes` takes with exactly one attribute."""
    attributes = read_attributes(path)
    names = dict.fromkeys(name for row in attributes.values() for name in row)
    if len(names) != 1:
        raise SegevalError(
            f"has {len(names)} columns besides the image: {', '.join(names)}",
            file=path,
            remedy="give two columns: image, group",
        )
    (name,) = names
    return {image: row[name] for image, row in attributes.items() if name in row}


def matched(keys: Sequence[Key], known: Mapping[Any, Any], what: str) -> list[Any]:
    """What is known of each image, or None.

    Images match by their key as text, with or without the ending of a file name.

    Raises
    ------
    SegevalError
        If something is said about an image that was not scored, or about one image twice.
    """
    names = {str(key): i for i, key in enumerate(keys)}
    out: list[Any] = [None] * len(keys)
    strange = []
    for image, value in known.items():
        at = names.get(str(image), names.get(os.path.splitext(str(image))[0]))
        if at is None:
            strange.append(str(image))
        elif out[at] is not None:
            raise SegevalError(
                f"{what} name the image {keys[at]!r} twice, as {str(image)!r} too",
                remedy="keep one line for each image",
            )
        else:
            out[at] = value
    if strange:
        more = f" and {len(strange) - 1} more" if len(strange) > 1 else ""
        raise SegevalError(
            f"{what} name the image {strange[0]!r}{more}, which was not scored",
            remedy=f"take it out; scored images are named like {keys[0]!r}" if keys else "score some images",
        )
    return out


def by_key(known: Mapping[str, T], keys: Collection[Key], names: Mapping[str, Key]) -> dict[str, T]:
    """What is known of images under their keys, where it names them by their files.

    Parameters
    ----------
    known
        By key or by name, with or without the ending of a file name.
    keys
        The keys; what names one of them stays.
    names
        Keys by the names of files.

    Raises
    ------
    SegevalError
        If an image is named in two ways.
    """
    there = {str(key) for key in keys}
    out: dict[str, T] = {}
    for image, value in known.items():
        stem = os.path.splitext(image)[0]
        name = image
        if image not in there and stem not in there and (image in names or stem in names):
            name = str(names[image] if image in names else names[stem])
        if name in out:
            raise SegevalError(
                f"the image {name} is named twice, as {image!r} too", remedy="keep one line for each image"
            )
        out[name] = value
    return out


def group_of_image(keys: Sequence[Key], groups: Mapping[Any, str]) -> NDArray[np.int64]:
    """The number of each image's group: (images), in the order of first appearance.

    Raises
    ------
    SegevalError
        If an image has no group, or an unknown image has one.
    """
    found = matched(keys, groups, "the groups")
    if None in found:
        key = keys[found.index(None)]
        raise SegevalError("is in no group", key=key, remedy="give every image a group, itself alone if need be")
    number: dict[str, int] = {}
    return np.array([number.setdefault(name, len(number)) for name in found], np.int64)


def among(groups: Mapping[Any, str], keys: Sequence[Key], known: Iterable[Key]) -> dict[Any, str]:
    """The groups without those of images that are known but not among `keys`."""
    kept = {str(key) for key in keys}
    dropped = {str(key) for key in known} - kept

    def is_dropped(image: str) -> bool:
        return image not in kept and bool(dropped & {image, os.path.splitext(image)[0]})

    return {image: name for image, name in groups.items() if not is_dropped(str(image))}


def _read(path: str | os.PathLike[str]) -> str:
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise SegevalError(f"can't be read ({reason})", file=path, remedy="give a CSV or JSON file") from None
    except UnicodeDecodeError:
        raise SegevalError("is not UTF-8 text", file=path, remedy="save it as UTF-8") from None


def _from_csv(text: str, path: str | os.PathLike[str]) -> list[tuple[str, dict[str, Any]]]:
    lines = [row for row in csv.reader(text.splitlines()) if any(cell.strip() for cell in row)]
    if not lines:
        raise SegevalError("is empty", file=path, remedy="give columns: image, attribute, ...")
    header = [cell.strip() for cell in lines[0]]
    if len(header) < 2 or len(set(header)) != len(header):
        raise SegevalError(
            f"has the header {','.join(header)!r}", file=path, remedy="give columns of different names: image, ..."
        )
    rows = []
    for number, row in enumerate(lines[1:], 2):
        if len(row) != len(header):
            raise SegevalError(
                f"row {number} has {len(row)} cells and the header {len(header)}", file=path, remedy="complete the row"
            )
        rows.append((row[0].strip(), {n: cell.strip() for n, cell in zip(header[1:], row[1:], strict=True)}))
    return rows


def _from_json(text: str, path: str | os.PathLike[str]) -> list[tuple[str, dict[str, Any]]]:
    form = 'give {"image": {"attribute": "value"}}'
    try:
        data = json.loads(text)
    except ValueError as error:
        raise SegevalError(f"is not JSON ({error})", file=path, remedy=form) from None
    if isinstance(data, list) and all(isinstance(row, dict) and "image" in row for row in data):
        items = [(row["image"], {k: v for k, v in row.items() if k != "image"}) for row in data]
    elif isinstance(data, dict):
        items = [(image, row if isinstance(row, dict) else {"group": row}) for image, row in data.items()]
    else:
        raise SegevalError("holds no attributes of images", file=path, remedy=form)
    for image, row in items:
        for name, value in row.items():
            if isinstance(value, (list, dict)):
                raise SegevalError(f"{name!r} of image {image!r} is no single value", file=path, remedy=form)
    return [(str(image), row) for image, row in items]


def _word(value: Any) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)
