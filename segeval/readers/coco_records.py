"""COCO JSON as columns: one pass over the bytes, or the standard library where that pass meets a surprise.

Both ways lead to the same columns; `tests/kernels/test_json_scan.py` holds them to it.
"""

from __future__ import annotations

import codecs
import json
import mmap
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segeval.errors import SegevalError
from segeval.samples import Key

# The bit of a field in `Records.present`; its row among the integers is the same number.
IMAGE_ID, CATEGORY_ID, ID, ISCROWD, WIDTH, HEIGHT, SCORE, AREA, BBOX, SEGMENTATION = range(10)
KIND, LOW, HIGH, SIZE_HEIGHT, SIZE_WIDTH, AT = range(6, 12)
INTEGER_ROWS, REAL_ROWS = 12, 6
KIND_NONE, KIND_POLYGON, KIND_COUNTS, KIND_COMPRESSED = range(4)

# Text ids take the integers from here down, in the order of their appearance.
TEXT_ID = -(1 << 62)


@dataclass
class Records:
    """Flat records of one JSON array.

    Parameters
    ----------
    integers
        (12, n) int64: image_id, category_id, id, iscrowd, width, height, then the segmentation's kind, its span
        (bytes of `text` or rings), its stated height and width, and the record's place in the file.
    reals
        (6, n) float64: score, area, bbox.
    present
        (n) uint16: which fields were there.
    text
        uint8, what the compressed masks' spans point into.
    rings, numbers
        Ring `r` is `numbers[rings[r]:rings[r + 1]]`.
    texts
        The ids that are texts.
    """

    integers: NDArray[np.int64]
    reals: NDArray[np.float64]
    present: NDArray[np.uint16]
    text: NDArray[np.uint8]
    rings: NDArray[np.int64]
    numbers: NDArray[np.float64]
    texts: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.present)

    def has(self, name: int) -> NDArray[np.bool_]:
        """Which records hold a field."""
        return (self.present >> name & 1).astype(bool)

    def take(self, rows: NDArray[np.int64]) -> Records:
        """Some of the records."""
        columns = (self.integers[:, rows], self.reals[:, rows], self.present[rows])
        return Records(*columns, self.text, self.rings, self.numbers, self.texts)

    def key(self, value: int) -> Key:
        """An id as it stands in the file."""
        return self.texts[TEXT_ID - value] if value <= TEXT_ID else value


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
            with path.open("rb") as stream:
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
            if part.max() > 127:
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
    data = _load(source, path)
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
    data = _load(source, path)
    if not isinstance(data, dict):
        raise SegevalError("is a list, no instances JSON", file=path, remedy="give the annotations as --gt")
    for name in ("images", "annotations", "categories"):
        if not isinstance(data.get(name), list):
            raise SegevalError(f"has no list {name!r}", file=path, remedy="give a COCO instances JSON")
    images = records_of(data["images"], path, "image", False)
    return InstancesFile(images, records_of(data["annotations"], path, "annotation", masks), data["categories"])


def scan_records(source: Mapped, at: int, masks: bool) -> tuple[Records, int] | None:
    """The records of the array at a place and the place behind it, or None on a surprise."""
    from segeval.kernels import json_scan

    text = source.bytes
    integers = np.empty((INTEGER_ROWS, 1024), np.int64)
    reals = np.empty((REAL_ROWS, 1024), np.float64)
    present = np.empty(1024, np.uint16)
    rings, numbers = np.zeros(1024, np.int64), np.empty(8192, np.float64)
    state, scratch = np.zeros(4, np.int64), (np.zeros(2, np.int64), np.zeros(4, np.float64))
    while True:
        code = json_scan.scan(text, at, masks, integers, reals, present, rings, numbers, state, *scratch)
        count, ring_count, number_count, place = state.tolist()
        if code == json_scan.SURPRISE:
            return None
        if code == json_scan.DONE:
            break
        # Grow to what the rest of the text will need if it goes on like this.
        share = 1.15 * (len(text) - at) / max(place - at, 1)

        def room(used: int, share: float = share) -> int:
            return min(max(2 * used, int(share * used)), 16 * used)

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


def _scan_tables(source: Mapped, masks: bool) -> InstancesFile | None:
    """Walk the top level of an instances JSON; None on a surprise."""
    from segeval.kernels.json_tokens import following, skip, string

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
        if character != ord(":") or name in found:
            return None
        _, at = following(text, at + 1)
        if name in ("images", "annotations"):
            scanned = scan_records(source, at, masks and name == "annotations")
            if scanned is None:
                return None
            found[name], at = scanned
        else:
            begin, at = at, skip(text, at)
            if at < 0:
                return None
            try:
                found[name] = json.loads(text[begin:at].tobytes()) if name == "categories" else None
            except ValueError:
                return None
        character, at = following(text, at)
        if character == ord("}"):
            break
        if character != ord(","):
            return None
    whole = at == len(text) - 1 and {"images", "annotations", "categories"} <= found.keys()
    if not whole or not isinstance(found["categories"], list):
        return None
    return InstancesFile(found["images"], found["annotations"], found["categories"])


# ---- the slow way ----------------------------------------------------------------------------------------------


def _load(source: Mapped, path: Path) -> Any:
    try:
        return json.loads(source.bytes.tobytes().decode("utf-8-sig"))
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise SegevalError(
            f"malformed JSON ({error.msg.lower()}) at {where}", file=path, remedy="write the file again"
        ) from None
    except UnicodeDecodeError as error:
        raise SegevalError(f"is no UTF-8 text (byte {error.start})", file=path, remedy="save it as UTF-8") from None
    except RecursionError:
        raise SegevalError("is nested too deeply", file=path, remedy="write the file again") from None


class _Columns:
    """Fills the columns from parsed objects, checking each value's kind."""

    def __init__(self, path: Path, what: str, masks: bool, count: int) -> None:
        self.path, self.what, self.masks = path, what, masks
        self.integers = np.zeros((INTEGER_ROWS, count), np.int64)
        self.reals = np.zeros((REAL_ROWS, count), np.float64)
        self.present = np.zeros(count, np.uint16)
        self.text = bytearray()
        self.rings: list[int] = [0]
        self.numbers: list[float] = []
        self.texts: dict[str, int] = {}
        self.row = 0

    def refuse(self, problem: str, remedy: str) -> SegevalError:
        return SegevalError(f"{self.what} {self.row} {problem}", file=self.path, remedy=remedy)

    def integer(self, name: str, value: Any) -> int:
        if isinstance(value, (bool, int)) and abs(value) < 1 << 61:
            return int(value)
        if isinstance(value, float) and value.is_integer() and abs(value) < 1 << 53:
            return int(value)
        if isinstance(value, str) and name in ("image_id", "id"):
            return TEXT_ID - self.texts.setdefault(value, len(self.texts))
        raise self.refuse(f"has the {name} {_shown(value)}, which is no integer", f"give {name} as an integer")

    def real(self, name: str, value: Any) -> float:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            try:
                return float(value)
            except OverflowError:
                pass
        raise self.refuse(f"has the {name} {_shown(value)}, which is no number", f"give {name} as a number")

    def ring(self, name: str, values: Sequence[Any]) -> None:
        self.numbers.extend(self.real(name, v) for v in values)
        self.rings.append(len(self.numbers))

    def segmentation(self, value: Any) -> bool:
        row = self.row
        if value is None:
            return False
        if not self.masks:
            return True
        if isinstance(value, list):
            self.integers[KIND, row], self.integers[LOW, row] = KIND_POLYGON, len(self.rings) - 1
            for ring in value:
                if not isinstance(ring, list):
                    raise self.refuse("has a polygon that is no list of lists", "give [[x, y, x, y, ...], ...]")
                self.ring("coordinate", ring)
            self.integers[HIGH, row] = len(self.rings) - 1
            return True
        size, counts = (value.get("size"), value.get("counts")) if isinstance(value, dict) else (None, None)
        if not isinstance(size, list) or len(size) != 2 or not isinstance(counts, (str, list)):
            raise self.refuse(
                f"has the segmentation {_shown(value)}", 'give polygons, or {"size": [height, width], "counts": ...}'
            )
        self.integers[SIZE_HEIGHT, row], self.integers[SIZE_WIDTH, row] = (self.integer("size", v) for v in size)
        if isinstance(counts, list):
            self.integers[KIND, row], self.integers[LOW, row] = KIND_COUNTS, len(self.rings) - 1
            self.ring("count", counts)
            self.integers[HIGH, row] = len(self.rings) - 1
        else:
            self.integers[KIND, row], self.integers[LOW, row] = KIND_COMPRESSED, len(self.text)
            # As JSON writes it; a quotation mark inside would end it, so it becomes another wrong character.
            raw = counts.replace('"', "!").replace("\\", "\\\\").encode("ascii", "replace")
            self.text += raw
            self.integers[HIGH, row] = len(self.text)
            self.text += b'"'
        return True

    def add(self, record: Any) -> None:
        if not isinstance(record, dict):
            raise self.refuse(f"is {_shown(record)}, no object", "give a list of objects")
        row, seen = self.row, 0
        for place, name in enumerate(("image_id", "category_id", "id", "iscrowd", "width", "height")):
            if name in record:
                self.integers[place, row] = self.integer(name, record[name])
                seen |= 1 << place
        for place, name in enumerate(("score", "area")):
            if name in record:
                self.reals[place, row] = self.real(name, record[name])
                seen |= 1 << (SCORE + place)
        box = record.get("bbox")
        if box:
            if not isinstance(box, list) or len(box) != 4:
                raise self.refuse(f"has the bbox {_shown(box)}", "give [x, y, width, height]")
            self.reals[2:, row] = [self.real("bbox", v) for v in box]
            seen |= 1 << BBOX
        if "segmentation" in record and self.segmentation(record["segmentation"]):
            seen |= 1 << SEGMENTATION
        self.present[row] = seen
        self.row += 1


def records_of(data: Sequence[Any], path: Path, what: str, masks: bool) -> Records:
    """Parsed JSON objects as columns.

    Raises
    ------
    SegevalError
        For a field of the wrong kind.
    """
    columns = _Columns(path, what, masks, len(data))
    for record in data:
        columns.add(record)
    return Records(
        columns.integers,
        columns.reals,
        columns.present,
        np.frombuffer(columns.text + bytearray(b'"'), np.uint8),
        np.array(columns.rings, np.int64),
        np.array(columns.numbers, np.float64),
        list(columns.texts),
    )


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else text[:37] + "..."
