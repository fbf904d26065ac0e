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
