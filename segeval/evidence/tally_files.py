"""Tables of rows in one ``.npz`` without pickles: text as UTF-8 bytes and offsets, whole numbers small."""

from __future__ import annotations

import json
import os
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from segeval.errors import SegevalError
from segeval.evidence.rows import Rows, narrow
from segeval.samples.pairs import Key

FORMAT = 1  # of tally.npz

# What reading a damaged archive may raise.
DAMAGE = (OSError, ValueError, LookupError, TypeError, RuntimeError, EOFError, zlib.error, zipfile.BadZipFile)

HEAD = ("task", "rule", "keyed", "folded", "folded_digest", "duplicates")

Contents = tuple[dict[str, Any], tuple[Key, ...], NDArray[np.uint64], dict[str, Rows]]


def write_tables(
    stream: BinaryIO,
    head: Mapping[str, Any],
    keys: Sequence[Key],
    digests: NDArray[np.uint64],
    tables: Mapping[str, Rows],
) -> None:
    """Write a tally's parts.

    Parameters
    ----------
    stream
        Where to.
    head
        Plain values, under the names of `HEAD`.
    keys, digests, tables
        See `segeval.evidence.tally.Tally`.
    """
    text = [key.encode("utf-8", "surrogatepass") if isinstance(key, str) else str(key).encode() for key in keys]
    arrays: dict[str, NDArray[Any]] = {
        "keys.bytes": np.frombuffer(b"".join(text), np.uint8),
        "keys.ends": np.cumsum([len(t) for t in text], dtype=np.int64),
        "keys.text": np.array([isinstance(key, str) for key in keys], bool),
        "digests": digests,
    }
    layout: dict[str, dict[str, dict[str, str]]] = {}
    for name, rows in tables.items():
        layout[name] = {
            part: {k: v.dtype.str for k, v in columns.items()}
            for part, columns in (("groups", rows.groups), ("counts", rows.counts))
        }
        arrays |= {f"{name}.{k}": narrow(v) for k, v in rows.columns().items()}
    whole = {"format": FORMAT, "tables": layout, **head}
    arrays["head"] = np.frombuffer(json.dumps(whole).encode(), np.uint8)
    np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]


def read_tables(path: str | os.PathLike[str] | BinaryIO) -> Contents:
    """Read what `write_tables` wrote: the head, keys, digests and tables.

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
            return _assembled(head, data)
    except FileNotFoundError:
        raise SegevalError("no such file", file=path, remedy="give the folder of a saved run") from None
    except DAMAGE as error:
        raise SegevalError(f"damaged tally ({type(error).__name__})", file=path, remedy=again) from None


def _assembled(head: dict[str, Any], data: Mapping[str, NDArray[Any]]) -> Contents:
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
        if len(lengths) != 1 or (len(rows) and not -1 <= rows.image[0] <= rows.image[-1] < max(1, len(keys))):
            raise ValueError(name)
        if (rows.image[1:] < rows.image[:-1]).any():
            raise ValueError(name)
        tables[name] = rows
    digests = data["digests"]
    if digests.dtype != np.uint64 or len(digests) != len(keys):
        raise ValueError("digests")
    # What is no such value fails here, and not in its use.
    kinds = (str, str, bool, int, int, int)
    return {name: kind(head[name]) for name, kind in zip(HEAD, kinds, strict=True)}, keys, digests, tables
