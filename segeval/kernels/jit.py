"""The one decorator under every compiled loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a loop lazily, cached on disk and free of the interpreter lock.

    Threads over images give the parallelism, so no kernel asks for `parallel=True`: it would triple the time to
    compile. Kernels that call one another share a file, because numba's cache does not see an edit in a callee that
    lives elsewhere.
    """
    compiled: Callable[..., Any] = numba.njit(cache=True, nogil=True)(function)
    return compiled


def loop(function: Callable[..., Any]) -> Callable[..., Any]:
    """A `kernel` that allocates nothing and returns numbers: its arrays are not reference-counted.

    Counting costs an atomic instruction for every array at every call. In small functions that are called for each
    token or each pair it is most of the time: three quarters of a pass over JSON.
    """
    try:
        without_counting: dict[str, Any] = {"_nrt": False}
        compiled: Callable[..., Any] = numba.njit(cache=True, nogil=True, **without_counting)(function)
    except (KeyError, TypeError):  # an option without promises: without it all is the same, only slower
        return kernel(function)
    return compiled
