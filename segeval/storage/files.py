"""Writing files so that a crash, a full disk or Ctrl-C leaves the old one or the new one, never half of one."""

from __future__ import annotations

import errno
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from segeval.errors import SegevalError


def write_atomic(path: str | os.PathLike[str], content: str | bytes | Callable[[BinaryIO], object]) -> Path:
    """Write a file under a temporary name beside its place, then move it there.

    Parameters
    ----------
    path
        Where the file goes; missing folders are made.
    content
        Text (written as UTF-8), bytes, or a function that writes into the open file.

    Raises
    ------
    SegevalError
        If the place can't be written to.
    """
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
    except OSError as error:
        raise _unwritable(target, error) from None
    try:
        with os.fdopen(handle, "wb") as stream:
            if callable(content):
                content(stream)
            else:
                # File names may hold bytes that are no text; in JSON their escape is read back as it was.
                stream.write(content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content)
        # mkstemp makes private files; a result is as readable as anything else its owner writes.
        mask = os.umask(0)
        os.umask(mask)
        Path(temporary).chmod(0o666 & ~mask)
        Path(temporary).replace(target)
    except BaseException as error:
        Path(temporary).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise _unwritable(target, error) from None
        raise
    return target


def write_json(path: str | os.PathLike[str], document: Any) -> Path:
    """Write compact JSON: a line of its own would help nobody to read run lengths.

    Raises
    ------
    SegevalError
        If the place can't be written to.
    """
    return write_atomic(path, json.dumps(document, separators=(",", ":")))


def require_writable(path: str | os.PathLike[str]) -> None:
    """Refuse a file or folder that can't be made, before there is anything to lose; makes nothing.

    Raises
    ------
    SegevalError
        If its nearest existing parent is no folder, or one that can't be written to.
    """
    target = Path(path)
    try:
        there = next(p for p in (target, *target.absolute().parents) if p.exists())
    except OSError as error:
        raise _unwritable(target, error) from None
    if not there.is_dir() and there != target:
        raise _unwritable(target, NotADirectoryError(errno.ENOTDIR, f"{there} is a file"))
    if not os.access(there, os.W_OK | (os.X_OK if there.is_dir() else 0)):
        raise _unwritable(target, PermissionError(errno.EACCES, "permission denied"))


def _unwritable(target: Path, error: OSError) -> SegevalError:
    reason = (error.strerror or str(error)).lower()
    return SegevalError(f"can't be written ({reason})", file=target, remedy="choose a folder that you may write to")
