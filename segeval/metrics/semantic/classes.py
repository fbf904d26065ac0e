"""What each stored value of a label map means: a class, void, or nothing that the rule knows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from segeval.errors import SegevalError
from segeval.metrics.semantic.softness import BLURRED, MANY, cut_at
from segeval.samples.labels import NOTHING, meant
from segeval.samples.pairs import Key
from segeval.samples.taxonomy import Taxonomy

NO_CLASS = -1  # void, in rows
REFUSED = -2
NEGATIVE = -3  # a negative label that nobody called void


@dataclass(frozen=True)
class LabelClasses:
    """From stored values to classes: map, binary, reduce-zero, void, range, in this order.

    Parameters
    ----------
    taxonomy
        The classes; any value is one if None.
    void
        Values that are no class, after the maps.
    binary, reduce_zero_label, map_truth, map_prediction, threshold
        As in `SemanticIoU`.
    """

    taxonomy: Taxonomy | None
    void: tuple[int, ...]
    binary: bool
    reduce_zero_label: bool
    map_truth: tuple[tuple[int, int], ...]
    map_prediction: tuple[tuple[int, int], ...]
    threshold: float | None = None

    def _class(self, raw: int, value: int, side: str) -> int:
        """The class of a mapped value, whether it is known or not, or `NO_CLASS`."""
        nothing = raw == NOTHING and side == "prediction"
        if self.threshold is not None:
            return NO_CLASS if nothing or value in self.void else int(value >= self.threshold)
        if self.binary and value == 255 and 255 not in self.void:
            value = 1
        if self.reduce_zero_label and side == "truth":
            nothing = value in (0, 255)
            value -= 1
        if nothing or value in self.void:
            return NO_CLASS
        return value if value >= 0 else NEGATIVE

    def class_of(self, raw: int, side: str) -> int | None:
        """The class of a raw value of ``truth`` or ``prediction``; None for void and for what is refused."""
        table = dict(self.map_truth if side == "truth" else self.map_prediction)
        value = self._class(raw, table.get(meant(raw), meant(raw)), side)
        known = self.taxonomy is None or value in self.taxonomy.ids
        return value if known and value >= 0 else None

    @cached_property
    def _classes_of_bytes(self) -> dict[str, NDArray[np.int64]]:
        """The classes of the values 0 to 255 on each side, `REFUSED` for those outside the classes given."""
        found = {}
        for side, pairs in (("truth", self.map_truth), ("prediction", self.map_prediction)):
            table = dict(pairs)
            classes = [self._class(raw, table.get(raw, raw), side) for raw in range(256)]
            known = None if self.taxonomy is None else {*self.taxonomy.ids, NO_CLASS}
            found[side] = np.array(
                [c if c != NEGATIVE and (known is None or c in known) else REFUSED for c in classes], np.int64
            )
        return found

    def classes_of(
        self, values: NDArray[np.int64], side: str, image: NDArray[np.int32], keys: list[Key], files: list[str | None]
    ) -> NDArray[np.int64]:
        """Class ids of raw values: map, binary, reduce-zero, void, range, in this order."""
        exact = self.binary and self.threshold is None
        if len(values) and not exact and values.max() < 256:
            found = self._classes_of_bytes[side][values]
            if found.min() != REFUSED:
                return found
        distinct, where = np.unique(values, return_inverse=True)
        classes = []
        table = dict(self.map_truth if side == "truth" else self.map_prediction)
        mapped = [table.get(meant(raw), meant(raw)) for raw in distinct.tolist()]
        if exact and not {1, 255} & set(self.void):
            _refuse_two_foregrounds(np.array(mapped, np.int64)[where], side, image, keys, files)
        for raw, value in zip(distinct.tolist(), mapped, strict=True):
            value = self._class(raw, value, side)
            known = value != NEGATIVE and (self.taxonomy is None or value in self.taxonomy.ids)
            if value != NO_CLASS and not known:
                first = int(image[np.argmax(values == raw)])
                raise self._unknown(meant(raw), values[image == first], side, files[first], keys[first])
            classes.append(value)
        return np.array(classes, np.int64)[where] if len(values) else values

    def _unknown(self, label: int, of_image: NDArray[np.int64], side: str, file: str | None, key: Key) -> SegevalError:
        """What is said of a value outside the classes; `of_image` are all values of its image."""
        found = {meant(raw) for raw in np.unique(of_image).tolist()}
        if self.binary and len(found) >= MANY:
            text = f"{side} holds {len(found)} values from {min(found)} to {max(found)}{BLURRED}"
            return SegevalError(text, file=file, key=key, remedy=cut_at(max(found)))
        option = "--map-gt" if side == "truth" else "--map-pred"
        how = f"map it ({option} FILE), or give it to --void ({' '.join(map(str, (*self.void, label)))})"
        said = "" if self.taxonomy is None else f"; {self.taxonomy.hint()}"
        what = "which is not among the classes" if self.taxonomy is not None else "and classes are numbered from 0"
        strange = set() if self.taxonomy is None else found - {*self.taxonomy.ids, *self.void}
        more = f", nor are {len(strange) - 1} more{BLURRED}" if len(strange) >= MANY else ""
        how += ", or give --threshold" if self.binary else ""
        return SegevalError(f"{side} holds the label {label}, {what}{more}", file=file, key=key, remedy=how + said)


def _refuse_two_foregrounds(
    values: NDArray[np.int64], side: str, image: NDArray[np.int32], keys: list[Key], files: list[str | None]
) -> None:
    """A binary mask with both 1 and 255: one of them may well be void, and guessing would move the score."""
    both = np.intersect1d(image[values == 1], image[values == 255])
    # Of many values those two are not what is wrong, and more is said of that.
    if len(both) and len(np.unique(values[image == both[0]])) < MANY:
        raise SegevalError(
            f"{side} holds both 1 and 255, so --binary can't tell the foreground",
            file=files[both[0]],
            key=keys[both[0]],
            remedy="give --void 255 if 255 is void, or --map to merge them",
        )
