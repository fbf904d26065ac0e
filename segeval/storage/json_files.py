"""Reading JSON with errors that say where."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from segeval.errors import SegevalError
from segeval.storage.mounts import present


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """The bytes of a file.

    Raises
    ------
    SegevalError
        If it is absent or can't be read.
    """
    file = present(Path(path))
    try:
        return file.read_bytes()
    except FileNotFoundError:
        raise SegevalError("no such file", file=file, remedy="check the path") from None
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise SegevalError(f"can't be read ({reason})", file=file, remedy="check its permissions") from None


def read_json(path: str | os.PathLike[str], members: Callable[[list[tuple[str, Any]]], Any] | None = None) -> Any:
    """The content of a JSON file.

    Parameters
    ----------
    path
        The file.
    members
        Makes something of an object's members, where a dictionary would lose those that are given twice.

    Raises
    ------
    SegevalError
        If the file can't be read, is no text, or is malformed (with line and column).
    """
    file = Path(path)
    try:
        return json.loads(read_bytes(file).decode("utf-8-sig"), object_pairs_hook=members)
    except UnicodeDecodeError as error:
        raise SegevalError(f"is not UTF-8 text (byte {error.start})", file=file, remedy="save it as UTF-8") from None
    except json.JSONDecodeError as error:
        raise SegevalError(
            f"malformed JSON at line {error.lineno}, column {error.colno}: {error.msg}",
            file=file,
            remedy="write it again",
        ) from None
    except RecursionError:
        raise SegevalError("JSON nested too deeply", file=file, remedy="write it again") from None


def integer(value: Any, what: str, file: object, key: object = None) -> int:
    """A whole number out of a JSON file; 3.0 is one, true and "3" are not.

    Raises
    ------
    SegevalError
        For anything else.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    raise SegevalError(f"{what} is {value!r}, not a whole number", file=file, key=key, remedy="write it as a number")
