"""The one decorator under every compiled loop."""

from __future__ import annotations

import contextlib
import functools
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a loop lazily, cached on disk and free of the interpreter lock.

    Threads over images give the parallelism, so no kernel asks for `parallel=True`: it would triple the time to
    compile.
    """
    return _stamped(numba.njit(cache=True, nogil=True)(function))


def loop(function: Callable[..., Any]) -> Callable[..., Any]:
    """A `kernel` that allocates nothing and returns numbers: its arrays are not reference-counted.

    Counting costs an atomic instruction for every array at every call. In small functions that are called for each
    token or each pair it is most of the time: three quarters of a pass over JSON.
    """
    try:
        without_counting: dict[str, Any] = {"_nrt": False}
        return _stamped(numba.njit(cache=True, nogil=True, **without_counting)(function))
    except (KeyError, TypeError):  # an option without promises: without it all is the same, only slower
        return kernel(function)


def _stamped(compiled: Any) -> Callable[..., Any]:
    """Have the cache on disk forget a kernel after an edit of any of them: it calls some that live in other files.

    numba itself looks at a kernel's own file only.
    """
    with contextlib.suppress(AttributeError):  # no promised name; without it an edit of a callee is not seen
        compiled._cache._cache_file._source_stamp = _stamp()
    kernel: Callable[..., Any] = compiled
    return kernel


@functools.cache
def _stamp() -> str:
    """Stands for the text of all kernels."""
    texts = [path.read_bytes() for path in sorted(Path(__file__).parent.rglob("*.py"))]
    return hashlib.blake2b(b"\0".join(texts)).hexdigest()
