"""COCO JSON files to columns: one pass over the bytes, or the standard library where that pass meets a surprise.

Both ways lead to the same columns; `tests/kernels/test_json_scan.py` holds them to it.
"""

from __future__ import annotations

import codecs
import json
import mmap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segeval.errors import SegevalError
from segeval.readers.coco.records import INTEGER_ROWS, REAL_ROWS, Records, records_of
from segeval.storage.json_files import read_json
from segeval.storage.mounts import present

# After so many records the pages that hold them are given back.
RECORDS_AT_ONCE = 1 << 14


@dataclass(frozen=True)
class InstancesFile:
    """The three tables of an instances JSON."""

    images: Records
    annotations: Records
    categories: list[dict[str, Any]]


class Mapped:
    """A file's bytes, mapped; pages that were read can be given back."""

    def __init__(self, path: Path) -> None:
        try:
            with present(path).open("rb") as stream:
                if path.stat().st_size == 0:
                    raise SegevalError("is empty", file=path, remedy="write the file again")
                # Private and writable, because compiled loops know read-only arrays as another type.
                self.map = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_COPY)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise SegevalError(f"can't be read ({reason})", file=path, remedy="check the path") from None
        size = len(self.map)
        while size and self.map[size - 1] in b" \n\r\t":
            size -= 1
        self.bytes: NDArray[np.uint8] = np.frombuffer(self.map, np.uint8)[:size]
        self.closed = bool(size) and self.map[size - 1] in b"]}"

    def release(self, low: int, high: int) -> None:
        """Give the pages of a span back to the system; they are read again when touched."""
        page = mmap.PAGESIZE
        low, high = -(-low // page) * page, high // page * page
        if high > low and hasattr(mmap, "MADV_DONTNEED"):
            self.map.madvise(mmap.MADV_DONTNEED, low, high - low)

    def is_text(self) -> bool:
        """Whether the bytes are UTF-8; plain ASCII, the usual case, is told at once."""
        decoder = codecs.getincrementaldecoder("utf-8")()
        step = 1 << 20
        for low in range(0, len(self.bytes), step):
            part = self.bytes[low : low + step]
            most = part.max()
            self.release(low, low + step)
            if most > 127:
                try:
                    decoder.decode(part.tobytes())
                except UnicodeDecodeError:
                    return False
            elif decoder.getstate()[0]:
                return False
        return not decoder.getstate()[0]


def read_results(path: Path, masks: bool) -> Records:
    """The records of a results JSON.

    Raises
    ------
    SegevalError
        If the file can't be read, is no JSON, or holds a field of the wrong kind.
    """
    source = Mapped(path)
    if source.closed and source.bytes[0] == ord("["):
        scanned = scan_records(source, 0, masks)
        if scanned is not None and scanned[1] == len(source.bytes) and source.is_text():
            return scanned[0]
    del source
    data = read_json(path)
    if not isinstance(data, list):
        what = "an instances JSON" if isinstance(data, dict) and "annotations" in data else "no results JSON"
        remedy = 'give a list of {"image_id", "category_id", "score", "segmentation" or "bbox"}'
        raise SegevalError(f"is {what}, where predictions were expected", file=path, remedy=remedy)
    return records_of(data, path, "result", masks)


def read_instances(path: Path, masks: bool) -> InstancesFile:
    """The tables of an instances JSON.

    Raises
    ------
    SegevalError
        If the file can't be read, is no JSON, lacks a table, or holds a field of the wrong kind.
    """
    source = Mapped(path)
    tables = _scan_tables(source, masks) if source.closed else None
    if tables is not None and source.is_text():
        return tables
    del source
    data = read_json(path)
    if not isinstance(data, dict):
        raise SegevalError("is a list, no instances JSON", file=path, remedy="give the annotations as --gt")
    for name in ("images", "annotations", "categories"):
        if not isinstance(data.get(name), list):
            raise SegevalError(f"has no list {name!r}", file=path, remedy="give a COCO instances JSON")
    images = records_of(data["images"], path, "image", False)
    return InstancesFile(images, records_of(data["annotations"], path, "annotation", masks), data["categories"])


def scan_records(source: Mapped, at: int, masks: bool) -> tuple[Records, int] | None:
    """The records of the array at a place and the place behind it, or None on a surprise."""
    from segeval.kernels.decoding import json_scan

    text, released = source.bytes, at
    integers = np.empty((INTEGER_ROWS, 1024), np.int64)
    reals = np.empty((REAL_ROWS, 1024), np.float64)
    present = np.empty(1024, np.uint16)
    rings, numbers = np.zeros(1024, np.int64), np.empty(8192, np.float64)
    state, scratch = np.zeros(4, np.int64), (np.zeros(2, np.int64), np.zeros(4, np.float64))
    while True:
        limit = min(int(state[0]) + RECORDS_AT_ONCE, len(present))
        code = json_scan.scan(text, at, masks, integers, reals, present[:limit], rings, numbers, state, *scratch)
        count, ring_count, number_count, place = state.tolist()
        source.release(released, place)
        released = place
        if code == json_scan.SURPRISE:
            return None
        if code == json_scan.DONE:
            break
        # Grow to what the rest of the text will need if it goes on like this.
        share = 1.15 * (len(text) - at) / max(place - at, 1)

        def room(used: int, share: float = share) -> int:
            return min(max(2 * used, int(share * used)), 16 * used)

        if code == json_scan.MORE_RECORDS and count < len(present):
            continue
        if code == json_scan.MORE_RECORDS:
            integers, reals, present = (_wider(a, room(count)) for a in (integers, reals, present))
        elif code == json_scan.MORE_RINGS:
            rings = _wider(rings, room(len(rings)))
        else:
            numbers = _wider(numbers, room(len(numbers)))
    return (
        Records(
            integers[:, :count],
            reals[:, :count],
            present[:count],
            text,
            rings[: ring_count + 1],
            numbers[:number_count],
        ),
        place,
    )


def _wider(array: NDArray[Any], size: int) -> NDArray[Any]:
    out = np.empty((*array.shape[:-1], size), array.dtype)
    out[..., : array.shape[-1]] = array
    return out


def members(text: NDArray[np.uint8], at: int, take: Callable[[str, int], int]) -> int:
    """Go along the members of the object at a place; returns the place behind it, or -1 on a surprise.

    Parameters
    ----------
    text
        The bytes of a JSON.
    at
        Where the object is.
    take
        Is given each member's name and the place of its value, and returns the place behind that; -1 ends the walk.
    """
    from segeval.kernels.decoding.json_tokens import following, string

    character, at = following(text, at)
    if character != ord("{"):
        return -1
    while True:
        character, at = following(text, at + 1)
        end, plain = string(text, at + 1) if character == ord('"') else (-1, False)
        if end < 0 or not plain:
            return -1
        name = text[at + 1 : end].tobytes().decode()
        character, at = following(text, end + 1)
        if character != ord(":"):
            return -1
        _, at = following(text, at + 1)
        at = take(name, at)
        if at < 0:
            return -1
        character, at = following(text, at)
        if character == ord("}"):
            return int(at) + 1
        if character != ord(","):
            return -1


def value_at(text: NDArray[np.uint8], at: int) -> tuple[Any, int]:
    """The value at a place, and the place behind it, or -1 on a surprise."""
    from segeval.kernels.decoding.json_tokens import skip

    end = int(skip(text, at))
    try:
        return (None, -1) if end < 0 else (json.loads(text[at:end].tobytes()), end)
    except ValueError:
        return None, -1


def _scan_tables(source: Mapped, masks: bool) -> InstancesFile | None:
    """The tables of an instances JSON, by a walk along its top level; None on a surprise."""
    from segeval.kernels.decoding.json_tokens import skip

    text = source.bytes
    found: dict[str, Any] = {}

    def take(name: str, at: int) -> int:
        if name in found:
            return -1
        found[name] = None
        if name in ("images", "annotations"):
            scanned = scan_records(source, at, masks and name == "annotations")
            if scanned is None:
                return -1
            found[name], at = scanned
            return at
        if name == "categories":
            found[name], at = value_at(text, at)
            return at
        return int(skip(text, at))

    whole = members(text, 0, take) == len(text) and {"images", "annotations", "categories"} <= found.keys()
    if not whole or not isinstance(found["categories"], list):
        return None
    return InstancesFile(found["images"], found["annotations"], found["categories"])
