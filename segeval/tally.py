"""The evidence: exact sufficient statistics in rows keyed by image. Tallies add."""

from __future__ import annotations

import json
import os
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from segeval.errors import Caution, SegevalError
from segeval.files import write_atomic
from segeval.rows import Rows, concatenate, fold, key_order
from segeval.samples import Key

FORMAT = 1  # of tally.npz

# What reading a damaged archive may raise.
DAMAGE = (OSError, ValueError, LookupError, TypeError, RuntimeError, EOFError, zlib.error, zipfile.BadZipFile)


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
        The images' keys, in `key_order`.
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
        text = [
            key.encode("utf-8", "surrogatepass") if isinstance(key, str) else str(key).encode() for key in self.keys
        ]
        arrays: dict[str, NDArray[Any]] = {
            "keys.bytes": np.frombuffer(b"".join(text), np.uint8),
            "keys.ends": np.cumsum([len(t) for t in text], dtype=np.int64),
            "keys.text": np.array([isinstance(key, str) for key in self.keys], bool),
            "digests": self.digests,
        }
        layout: dict[str, dict[str, dict[str, str]]] = {}
        for name, rows in self.tables.items():
            layout[name] = {
                part: {k: v.dtype.str for k, v in columns.items()}
                for part, columns in (("groups", rows.groups), ("counts", rows.counts))
            }
            arrays |= {f"{name}.{k}": _narrow(v) for k, v in rows.columns().items()}
        head = {"format": FORMAT, "task": self.task, "rule": self.rule, "tables": layout, "keyed": self.keyed}
        head |= {"folded": self.folded, "folded_digest": self.folded_digest, "duplicates": self.duplicates}
        arrays["head"] = np.frombuffer(json.dumps(head).encode(), np.uint8)
        np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]

    @classmethod
    def load(cls, path: str | os.PathLike[str] | BinaryIO) -> Tally:
        """Read what `save` or `write` wrote.

        Raises
        ------
        SegevalError
            If the file is absent, truncated, of a newer version, or inconsistent.
        """
        again = "score again, or copy the run once more"
        try:
            with np.load(path, allow_pickle=False) as data:
                head = json.loads(data["head"].tobytes())
                if head["format"] > FORMAT:
                    raise SegevalError(
                        f"tally format {head['format']} is newer than this segeval reads ({FORMAT})",
                        file=path,
                        remedy="upgrade segeval",
                    )
                return _assemble(head, data)
        except FileNotFoundError:
            raise SegevalError("no such file", file=path, remedy="give the folder of a saved run") from None
        except DAMAGE as error:
            raise SegevalError(f"damaged tally ({type(error).__name__})", file=path, remedy=again) from None


def _narrow(column: NDArray[Any]) -> NDArray[Any]:
    if column.dtype.kind not in "iu" or not column.size:
        return column
    low, high = np.min_scalar_type(column.min()), np.min_scalar_type(column.max())
    return column.astype(np.promote_types(low, high)) if np.promote_types(low, high).kind in "iu" else column


def _assemble(head: dict[str, Any], data: Mapping[str, NDArray[Any]]) -> Tally:
    raw = data["keys.bytes"].tobytes()
    ends = data["keys.ends"].tolist()
    texts = [raw[a:b].decode("utf-8", "surrogatepass") for a, b in zip([0, *ends], ends, strict=False)]
    keys = tuple(t if is_text else int(t) for t, is_text in zip(texts, data["keys.text"].tolist(), strict=True))
    tables = {}
    for name, parts in head["tables"].items():
        groups, counts = (
            {k: data[f"{name}.{k}"].astype(np.dtype(kind)) for k, kind in parts[part].items()}
            for part in ("groups", "counts")
        )
        rows = Rows(data[f"{name}.image"].astype(np.int32), groups, counts)
        lengths = {len(c) for c in rows.columns().values()}
        if len(lengths) != 1 or (len(rows) and not -1 <= rows.image.min() <= rows.image.max() < max(1, len(keys))):
            raise ValueError(name)
        tables[name] = rows
    digests = data["digests"]
    if digests.dtype != np.uint64 or len(digests) != len(keys):
        raise ValueError("digests")
    return Tally(
        str(head["task"]),
        str(head["rule"]),
        keys,
        digests,
        tables,
        bool(head["keyed"]),
        int(head["folded"]),
        int(head["folded_digest"]),
        int(head["duplicates"]),
    )


def merge(tallies: Sequence[Tally]) -> Tally:
    """Add tallies: associative, commutative, and independent of the order of images.

    An image that arrives twice with identical rows (a padded sampler's) is counted once; twice with other rows is an
    error, because then one of them is not that image.

    Raises
    ------
    SegevalError
        If tasks or rules differ, images were only numbered, or one key has two contents.
    """
    if not tallies:
        raise SegevalError("nothing to add", remedy="give at least one tally")
    first = tallies[0]
    if len(tallies) == 1:
        return first
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
    keys: list[Key] = [key for t in tallies for key in t.keys]
    digests = np.concatenate([t.digests for t in tallies])
    offsets = np.cumsum([0, *(len(t.keys) for t in tallies)])
    tables = {}
    for name in first.tables:
        parts = [t.tables[name] for t in tallies]
        images = [np.where(p.image < 0, -1, p.image + o) for p, o in zip(parts, offsets, strict=False)]
        tables[name] = concatenate(parts, images)
    whole = replace(
        first,
        keys=tuple(keys),
        digests=digests,
        tables=tables,
        keyed=all(t.keyed for t in tallies),
        folded=sum(t.folded for t in tallies),
        folded_digest=sum(t.folded_digest for t in tallies) % 2**64,
        duplicates=sum(t.duplicates for t in tallies),
    )
    return in_order(whole)


def in_order(tally: Tally) -> Tally:
    """Sort images by key, drop identical duplicates, and fold together what was folded before."""
    order = sorted(range(len(tally.keys)), key=lambda i: key_order(tally.keys[i]))
    rank = np.full(len(order) + 1, -1, np.int64)  # the last place answers for folded rows
    kept: list[int] = []
    twice: list[tuple[int, int]] = []
    for i in order:
        if kept and tally.keys[kept[-1]] == tally.keys[i] and type(tally.keys[kept[-1]]) is type(tally.keys[i]):
            twice.append((kept[-1], i))
            continue
        rank[i] = len(kept)
        kept.append(i)
    for a, b in twice:
        if not _same_image(tally, a, b):
            raise SegevalError(
                "was counted twice with different content", key=tally.keys[a], remedy="give each image its own key"
            )
    tables = {}
    for name, rows in tally.tables.items():
        image = rank[rows.image]
        keep = (image >= 0) | (rows.image < 0)
        where = np.flatnonzero(keep)
        where = where[np.argsort(image[where], kind="stable")]
        sorted_rows = rows.select(where, image[where])
        loose = sorted_rows.image < 0
        if rows.counts and loose.any():
            folded, rest = fold(sorted_rows.select(loose)), sorted_rows.select(~loose)
            sorted_rows = concatenate([folded, rest], [folded.image, rest.image])
        tables[name] = sorted_rows
    return replace(
        tally,
        keys=tuple(tally.keys[i] for i in kept),
        digests=tally.digests[kept],
        tables=tables,
        duplicates=tally.duplicates + len(twice),
    )


def _same_image(tally: Tally, a: int, b: int) -> bool:
    if tally.digests[a] != tally.digests[b]:
        return False
    for rows in tally.tables.values():
        first, second = (rows.select(rows.image == i) for i in (a, b))
        if not all(np.array_equal(first[k], second[k]) for k in (*rows.groups, *rows.counts)):
            return False
    return True
