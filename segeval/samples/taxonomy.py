"""Classes: their ids, names, colours, and which of them are things."""

from __future__ import annotations

import colorsys
import hashlib
import json
import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from segeval.errors import SegevalError

Colour = tuple[int, int, int]

# Plain counts name no class, so a wild one is a slip (a file name's digits, say) and not a taxonomy.
MOST_CLASSES = 65_536

# Places of a table of positions for each id that is looked up.
DENSE = 16


def distinct_colour(index: int) -> Colour:
    """A colour for the class at a position: hues by the golden ratio, in three bands of lightness."""
    hue = (index * 0.618033988749895) % 1.0
    lightness = (0.50, 0.68, 0.36)[index % 3]
    red, green, blue = colorsys.hls_to_rgb(hue, lightness, 0.65)
    return round(red * 255), round(green * 255), round(blue * 255)


@dataclass(frozen=True)
class Taxonomy:
    """The classes of a data set.

    Parameters
    ----------
    ids
        The values that stand for the classes in label maps and JSON files; need not be contiguous.
    names
        One name for each id.
    things
        One flag for each id, or None where things and stuff are not told apart.
    colours
        One RGB triple for each id; distinct ones are made where none are given.

    Examples
    --------
    >>> Taxonomy.of(["road", "car"]).ids
    (0, 1)
    >>> classes = Taxonomy((7, 26), ("road", "car"), things=(False, True))
    >>> classes.resolve("car"), classes.index_of(26)
    (26, 1)
    """

    ids: tuple[int, ...]
    names: tuple[str, ...] = ()
    things: tuple[bool, ...] | None = None
    colours: tuple[Colour, ...] = ()

    def __post_init__(self) -> None:
        if not all(type(i) is int for i in self.ids):
            try:
                object.__setattr__(self, "ids", tuple(operator.index(i) for i in self.ids))
            except TypeError:
                raise SegevalError(f"class ids {self.ids!r:.60}", remedy="give whole numbers") from None
        for name in ("ids", "names", "things", "colours"):
            if isinstance(column := getattr(self, name), list):
                object.__setattr__(self, name, tuple(column))
        if not self.names:
            object.__setattr__(self, "names", tuple(str(i) for i in self.ids))
        if not self.colours:
            object.__setattr__(self, "colours", tuple(distinct_colour(k) for k in range(len(self.ids))))
        for name, column in (("names", self.names), ("things", self.things), ("colours", self.colours)):
            if column is not None and len(column) != len(self.ids):
                raise SegevalError(f"{len(self.ids)} class ids but {len(column)} {name}")
        if len(set(self.ids)) != len(self.ids):
            twice = sorted({i for i in self.ids if self.ids.count(i) > 1})
            raise SegevalError(f"class id {twice[0]} is given twice", remedy="give each class its own id")
        if any(i < 0 for i in self.ids):
            raise SegevalError(f"class id {min(self.ids)} is negative", remedy="number classes from 0")
        if any(i >= 2**32 for i in self.ids):
            raise SegevalError(f"class id {max(self.ids)} is too large", remedy="use ids below 4294967296")

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def of_count(cls, count: int) -> Taxonomy:
        """Classes 0 to count - 1, named by their numbers."""
        if not 1 <= count <= MOST_CLASSES:
            raise SegevalError(f"{count} is no number of classes", remedy=f"give 1 to {MOST_CLASSES}")
        return cls(tuple(range(count)))

    @classmethod
    def of_names(cls, names: Iterable[str]) -> Taxonomy:
        """Classes numbered from 0 in the order of their names."""
        listed = tuple(names)
        return cls(tuple(range(len(listed))), listed)

    @classmethod
    def of(cls, classes: Taxonomy | int | Sequence[str] | Mapping[int, str]) -> Taxonomy:
        """A taxonomy from what a caller has at hand: a taxonomy, a count, names, or names by id.

        Raises
        ------
        SegevalError
            For one text, no names at all, and names that are no texts.
        """
        if isinstance(classes, Taxonomy):
            return classes
        if isinstance(classes, Mapping) and classes:
            return cls(tuple(classes), tuple(map(str, classes.values())))
        if not isinstance(classes, (str, bool)):
            if hasattr(classes, "__index__"):
                return cls.of_count(operator.index(classes))
            names = tuple(classes) if isinstance(classes, Iterable) else (classes,)
            listed = [name for name in names if isinstance(name, str)]
            if listed and len(listed) == len(names):
                return cls.of_names(listed)
        raise SegevalError(
            f"{classes!r:.60} is neither a number of classes nor a list of names",
            remedy="give a count, a list of names, {id: name}, or a Taxonomy",
        )

    def without(self, ids: Iterable[int]) -> Taxonomy:
        """The other classes."""
        gone = set(ids)
        kept = [k for k, i in enumerate(self.ids) if i not in gone]
        names, colours = tuple(self.names[k] for k in kept), tuple(self.colours[k] for k in kept)
        things = None if self.things is None else tuple(self.things[k] for k in kept)
        return Taxonomy(tuple(self.ids[k] for k in kept), names, things, colours)

    def index_of(self, class_id: int) -> int:
        """The position of a class id."""
        try:
            return self.ids.index(class_id)
        except ValueError:
            raise SegevalError(f"class id {class_id} is not among the classes", remedy=self.hint()) from None

    def resolve(self, text: str | int) -> int:
        """The id of a class given by id or by name."""
        word = str(text).strip()
        if word in self.names:
            return self.ids[self.names.index(word)]
        if word.lstrip("-").isdigit() and int(word) in self.ids:
            return int(word)
        raise SegevalError(f"{word!r} is neither the id nor the name of a class", remedy=self.hint())

    def hint(self) -> str:
        """What the classes are, short enough for an error message."""
        shown = ", ".join(f"{i} {n}" if str(i) != n else n for i, n in list(zip(self.ids, self.names, strict=True))[:6])
        return f"classes are {shown}{', ...' if len(self) > 6 else ''} ({len(self)} in all)"

    def label(self) -> str:
        """``133#5f2a``: the number of classes and a hash of ids, names and thing/stuff."""
        content = json.dumps([self.ids, self.names, self.things], ensure_ascii=True, separators=(",", ":"))
        return f"{len(self)}#{hashlib.sha256(content.encode()).hexdigest()[:4]}"

    def to_dict(self) -> dict[str, object]:
        """Plain lists, for JSON."""
        return {
            "ids": list(self.ids),
            "names": list(self.names),
            "things": None if self.things is None else list(self.things),
            "colours": [list(c) for c in self.colours],
        }

    @classmethod
    def from_dict(cls, data: dict[str, object]) -> Taxonomy:
        """The reverse of `to_dict`."""
        try:
            ids, names, things, colours = (data[k] for k in ("ids", "names", "things", "colours"))
            assert isinstance(ids, list)
            assert isinstance(names, list)
            assert isinstance(colours, list)
            assert things is None or isinstance(things, list)
            return cls(
                tuple(int(i) for i in ids),
                tuple(str(n) for n in names),
                None if things is None else tuple(bool(t) for t in things),
                tuple((int(r), int(g), int(b)) for r, g, b in colours),
            )
        except (KeyError, TypeError, ValueError, OverflowError, AssertionError):
            raise SegevalError("the classes of the saved run can't be read", remedy="score again") from None


def positions(ids: NDArray[np.integer], known: ArrayLike) -> NDArray[np.int64]:
    """Where ids stand among known ones.

    Parameters
    ----------
    ids
        Any shape.
    known
        (n) distinct ids in any order, such as `Taxonomy.ids`.

    Returns
    -------
    positions
        int64 of the shape of `ids`: 0 to n - 1, and n for an id that is not known.
    """
    listed = np.asarray(known, np.int64)
    if not listed.size:
        return np.zeros(np.shape(ids), np.int64)
    low, high = int(listed.min()), int(listed.max())
    if high - low < DENSE * np.size(ids):  # a table costs less than a search for each
        table = np.full(high - low + 2, listed.size, np.int64)
        table[listed - low] = np.arange(listed.size)
        inside = (ids >= low) & (ids <= high)
        found: NDArray[np.int64] = table[np.where(inside, ids - low, high - low + 1)]
        return found
    order = np.argsort(listed, kind="stable")
    ascending = listed[order]
    at = np.searchsorted(ascending, ids).clip(max=listed.size - 1)
    return np.where(ascending[at] == ids, order[at], listed.size)
