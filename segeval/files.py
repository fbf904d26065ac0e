"""Writing files so that a crash, a full disk or Ctrl-C leaves the old one or the new one, never half of one."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

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
                stream.write(content.encode() if isinstance(content, str) else content)
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


def _unwritable(target: Path, error: OSError) -> SegevalError:
    reason = (error.strerror or str(error)).lower()
    return SegevalError(f"can't be written ({reason})", file=target, remedy="choose a folder that you may write to")
