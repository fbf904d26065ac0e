"""The one decorator under every compiled loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., Any])


def kernel(function: F) -> F:
    """Compile a loop lazily, cached on disk and free of the interpreter lock.

    Threads over images give the parallelism, so no kernel asks for `parallel=True`: it would triple the time to
    compile. Kernels that call one another share a file, because numba's cache does not see an edit in a callee that
    lives elsewhere.
    """
    return cast(F, numba.njit(cache=True, nogil=True)(function))


def loop(function: F) -> F:
    """A `kernel` that allocates nothing and returns numbers: its arrays are not reference-counted.

    Counting costs an atomic instruction for every array at every call. In small functions that are called for each
    token or each pair it is most of the time: three quarters of a pass over JSON.
    """
    try:
        return cast(F, numba.njit(cache=True, nogil=True, _nrt=False)(function))
    except Exception:  # an option without promises: without it all is the same, only slower
        return kernel(function)
