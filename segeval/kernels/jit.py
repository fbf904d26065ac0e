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
