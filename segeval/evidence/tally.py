"""The evidence: exact sufficient statistics in rows keyed by image. Tallies add."""

from __future__ import annotations

import bisect
import itertools
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from segeval.errors import Caution, SegevalError
from segeval.evidence.joining import Kinds, joined, kinds_of, order_of, rows_of_image, widened
from segeval.evidence.rows import Rows, fold, narrow
from segeval.evidence.tally_files import read_tables, write_tables
from segeval.samples.pairs import Key
from segeval.storage.files import write_atomic


@dataclass(frozen=True, eq=False)
class Tally:
    """Statistics of a set of images under one rule.

    Parameters
    ----------
    task
        ``semantic``, ``instance`` or ``panoptic``.
    rule
        What was decided before counting, as text; tallies of different rules don't add.
    keys
        The images' keys: integers numerically, then text by code point.
    digests
        uint64, one for each key: the image's truth.
    tables
        The rows, by name.
    keyed
        False if the keys were only numbered; such tallies refuse to merge.
    folded, folded_digest
        How many images were folded away by `collapse`, and the sum of their digests mod 2^64.
    duplicates
        How many identical images were dropped while adding.
    """

    task: str
    rule: str
    keys: tuple[Key, ...]
    digests: NDArray[np.uint64]
    tables: dict[str, Rows]
    keyed: bool = True
    folded: int = 0
    folded_digest: int = 0
    duplicates: int = 0

    def __len__(self) -> int:
        return len(self.keys) + self.folded

    def __eq__(self, other: object) -> bool:
        """Same images, same rows, same bits; how many duplicates were dropped on the way is no matter."""
        if not isinstance(other, Tally):
            return NotImplemented
        mine, theirs = (
            (t.task, t.rule, t.keys, t.digests.tolist(), t.folded, t.folded_digest, sorted(t.tables))
            for t in (self, other)
        )
        return mine == theirs and all(
            np.array_equal(column, other.tables[name][k])
            for name, rows in self.tables.items()
            for k, column in rows.columns().items()
        )

    __hash__ = None  # type: ignore[assignment]

    def __add__(self, other: Tally) -> Tally:
        return merge([self, other])

    @property
    def digest(self) -> str:
        """The truth of all images in 16 hexadecimal digits, whatever their order."""
        total = int(self.digests.sum(dtype=np.uint64)) + self.folded_digest
        return f"{total % 2**64:016x}"

    def cautions(self) -> list[Caution]:
        """What a reader should know about the images themselves."""
        if not self.duplicates:
            return []
        text = f"{self.duplicates} images came twice with the same content and were counted once"
        return [Caution("duplicates-dropped", text)]

    def take(self, keys: Iterable[Key]) -> Tally:
        """The same statistics for some of the images.

        Raises
        ------
        SegevalError
            If a key is not in the tally.
        """
        position = {key: i for i, key in enumerate(self.keys)}
        wanted = list(dict.fromkeys(keys))
        absent = [key for key in wanted if key not in position]
        if absent:
            more = f" and {len(absent) - 1} more" if len(absent) > 1 else ""
            raise SegevalError(f"no image {absent[0]!r}{more} in this run", remedy="name images that were scored")
        chosen = np.array(sorted(position[key] for key in wanted), np.int64)
        new = np.full(len(self.keys) + 1, -1, np.int64)  # one more, where folded rows (-1) look themselves up
        new[chosen] = np.arange(len(chosen))
        tables = {}
        for name, rows in self.tables.items():
            image = new[rows.image]
            tables[name] = rows.select(image >= 0, image[image >= 0])
        return replace(
            self,
            keys=tuple(self.keys[i] for i in chosen),
            digests=self.digests[chosen],
            tables=tables,
            folded=0,
            folded_digest=0,
            duplicates=0,
        )

    def unkeyed(self) -> Tally:
        """The same statistics, their keys being mere numbers: it refuses to merge."""
        return replace(self, keyed=False)

    def collapse(self) -> Tally:
        """Fold the rows of all images into one set: same score, no more intervals; AP needs its rows and keeps them."""
        if any(not rows.counts for rows in self.tables.values()):
            return self
        return replace(
            self,
            keys=(),
            digests=np.zeros(0, np.uint64),
            tables={name: fold(rows) for name, rows in self.tables.items()},
            folded=len(self),
            folded_digest=int(self.digest, 16),
        )

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write to one ``.npz`` without pickles; integers take the smallest type that holds them."""
        return write_atomic(path, self.write)

    def write(self, stream: BinaryIO) -> None:
        """Write the bytes of `save`; `load` reads them from a stream too."""
        head = {"task": self.task, "rule": self.rule, "keyed": self.keyed, "folded": self.folded}
        head |= {"folded_digest": self.folded_digest, "duplicates": self.duplicates}
        write_tables(stream, head, self.keys, self.digests, self.tables)

    @classmethod
    def load(cls, path: str | os.PathLike[str] | BinaryIO) -> Tally:
        """Read what `save` or `write` wrote.

        Raises
        ------
        SegevalError
            If the file is absent, truncated, of a newer version, or inconsistent.
        """
        head, keys, digests, tables = read_tables(path)
        return cls(keys=keys, digests=digests, tables=tables, **head)


@dataclass(frozen=True, eq=False)
class PackedTally:
    """A tally on its way or waiting to be added: its columns take a fraction of the memory.

    Parameters
    ----------
    tally
        The tally, whole numbers in the smallest types that hold them.
    kinds
        The types that the columns have otherwise, by table.
    """

    tally: Tally
    kinds: Mapping[str, Kinds]

    @classmethod
    def of(cls, tally: Tally) -> PackedTally:
        """Pack a tally."""
        kinds = {name: kinds_of(rows) for name, rows in tally.tables.items()}
        tables = {
            name: Rows(narrow(rows.image), *({k: narrow(v) for k, v in p.items()} for p in (rows.groups, rows.counts)))
            for name, rows in tally.tables.items()
        }
        return cls(replace(tally, tables=tables), kinds)

    @property
    def nbytes(self) -> int:
        """Bytes of its columns."""
        return sum(c.nbytes for rows in self.tally.tables.values() for c in rows.columns().values())

    def unpacked(self) -> Tally:
        """The tally as it was."""
        tables = {name: widened(rows, self.kinds[name]) for name, rows in self.tally.tables.items()}
        return replace(self.tally, tables=tables)


def merge(tallies: Sequence[Tally]) -> Tally:
    """Add tallies: associative, commutative, and independent of the order of images.

    An image that arrives twice with identical rows (a padded sampler's) is counted once; twice with other rows is an
    error, because then one of them is not that image.

    Raises
    ------
    SegevalError
        If tasks or rules differ, images were only numbered, or one key has two contents.
    """
    return merge_parts(list(tallies))


def merge_parts(parts: list[Tally] | list[PackedTally]) -> Tally:
    """`merge` that empties the list, so that a part whose rows are in their place needs no memory beside the sum.

    Raises
    ------
    SegevalError
        As `merge`.
    """
    if not parts:
        raise SegevalError("nothing to add", remedy="give at least one tally")
    packed = [part if isinstance(part, PackedTally) else _as_it_is(part) for part in parts]
    parts.clear()
    if len(packed) == 1:
        return packed[0].unpacked()
    _require_alike([part.tally for part in packed])
    return _joined(packed)


def _require_alike(tallies: Sequence[Tally]) -> None:
    first = tallies[0]
    for other in tallies[1:]:
        if (other.task, other.rule) != (first.task, first.rule):
            raise SegevalError(
                f"tallies were counted under different rules: {first.rule!r} and {other.rule!r}",
                remedy="score both with the same options",
            )
    if not all(t.keyed for t in tallies if len(t)):
        raise SegevalError(
            "images without keys can't be merged: numbers say nothing about which image it was",
            remedy="give update(..., key=...)",
        )


def in_order(tally: Tally) -> Tally:
    """Sort images by key, drop identical duplicates, and fold together what was folded before.

    Raises
    ------
    SegevalError
        If one key has two contents.
    """
    if not tally.folded and all(_before(a, b) for a, b in itertools.pairwise(tally.keys)):
        return tally
    return _joined([_as_it_is(tally)])


def _before(a: Key, b: Key) -> bool:
    """Whether one image comes before another."""
    if isinstance(a, str) == isinstance(b, str):
        return a < b  # type: ignore[operator]
    return isinstance(b, str)


def _as_it_is(tally: Tally) -> PackedTally:
    return PackedTally(tally, {name: kinds_of(rows) for name, rows in tally.tables.items()})


def _joined(parts: list[PackedTally]) -> Tally:
    """The sum of parts under one rule; the list is emptied."""
    tallies = [part.tally for part in parts]
    kinds = parts[0].kinds
    parts.clear()
    keys: list[Key] = [key for t in tallies for key in t.keys]
    images = [len(t.keys) for t in tallies]
    firsts = [0, *itertools.accumulate(images)][:-1]
    order = order_of(keys)
    for a, b in order.twice:
        (one, i), (other, j) = (_located(tallies, firsts, k) for k in (a, b))
        if not _same_image(one, i, other, j):
            raise SegevalError(
                "was counted twice with different content", key=keys[a], remedy="give each image its own key"
            )
    head = replace(
        tallies[0],
        keys=tuple(keys[i] for i in order.kept),
        digests=np.concatenate([t.digests for t in tallies])[order.kept],
        tables={},
        keyed=all(t.keyed for t in tallies),
        folded=sum(t.folded for t in tallies),
        folded_digest=sum(t.folded_digest for t in tallies) % 2**64,
        duplicates=sum(t.duplicates for t in tallies) + len(order.twice),
    )
    waiting = {name: [t.tables[name] for t in tallies] for name in kinds}
    tallies.clear()
    return replace(head, tables={n: joined(waiting.pop(n), firsts, images, order, kinds[n]) for n in kinds})


def _located(tallies: Sequence[Tally], firsts: Sequence[int], position: int) -> tuple[Tally, int]:
    """The tally that holds an image, and the image's position in it."""
    at = bisect.bisect_right(firsts, position) - 1
    return tallies[at], position - firsts[at]


def _same_image(one: Tally, i: int, other: Tally, j: int) -> bool:
    if one.digests[i] != other.digests[j]:
        return False
    for name, rows in one.tables.items():
        first, second = rows_of_image(rows, i), rows_of_image(other.tables[name], j)
        if not all(np.array_equal(first[k], second[k]) for k in (*rows.groups, *rows.counts)):
            return False
    return True
