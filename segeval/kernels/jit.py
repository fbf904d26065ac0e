"""The one decorator under every compiled loop."""

from __future__ import annotations

import contextlib
import functools
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numba.extending


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
    return _stamped(numba.njit(cache=True, nogil=True, **_lean())(function))


def part(function: Callable[..., Any]) -> Callable[..., Any]:
    """A piece of a `loop`, compiled into each one that calls it: handing it groups of arrays then costs nothing."""
    piece: Callable[..., Any] = numba.extending.register_jitable(**_lean(forceinline=True))(function)
    return piece


def _lean(**more: bool) -> dict[str, Any]:
    """Options that numba does not promise, as far as it has them: without them all is the same, only slower."""
    options = {"_nrt": False, "no_cfunc_wrapper": True, **more}
    try:
        from numba.core.registry import cpu_target

        return {name: value for name, value in options.items() if hasattr(cpu_target.options, name)}
    except (ImportError, AttributeError):
        return {}


def _stamped(compiled: Any) -> Callable[..., Any]:
    """Have the cache on disk forget a kernel after an edit of any of them: it calls some that live in other files.

    numba itself looks at a kernel's own file only. It asks for the version before it reads the rest, which names
    groups of arrays that may be gone.
    """
    with contextlib.suppress(AttributeError):  # no promised names; without them an edit of a callee is not seen
        file = compiled._cache._cache_file
        file._source_stamp, file._version = _stamp(), f"{file._version} {_stamp()}"
    kernel: Callable[..., Any] = compiled
    return kernel


@functools.cache
def _stamp() -> str:
    """Stands for the text of all kernels."""
    texts = [path.read_bytes() for path in sorted(Path(__file__).parent.rglob("*.py"))]
    return hashlib.blake2b(b"\0".join(texts)).hexdigest()
