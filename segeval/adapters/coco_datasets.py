"""COCO data that a caller holds in memory, handed to the readers of files."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from segeval.errors import SegevalError


def dataset_of(data: Any, what: str) -> Any:
    """The plain JSON of a `pycocotools.coco.COCO`, a path, a dict or a list.

    Raises
    ------
    SegevalError
        For anything else.
    """
    if isinstance(data, (dict, list)):
        return data
    if isinstance(data, (str, os.PathLike)):
        from segeval.storage.json_files import read_json

        return read_json(data)
    found = getattr(data, "dataset", None)
    if not isinstance(found, (dict, list)):
        raise SegevalError(
            f"{what} is a {type(data).__name__}", remedy="give a COCO object, a path, or plain JSON data"
        )
    return found


@contextmanager
def as_file(data: Any) -> Iterator[Path]:
    """A JSON file of plain data for as long as it is read; numbers of numpy and bytes of masks are plain too."""
    with tempfile.TemporaryDirectory(prefix="segeval-") as folder:
        path = Path(folder) / "data.json"
        path.write_text(json.dumps(data, default=_plain))
        yield path


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("ascii", "replace")
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    raise SegevalError(f"{value!r:.60} has no place in COCO JSON", remedy="give numbers, text and lists")
