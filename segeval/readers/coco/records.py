"""Records of COCO JSON in columns, and the way there through the standard library."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segeval.errors import SegevalError
from segeval.samples.pairs import Key

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
