"""Holding Python's garbage collector off work that makes no garbage cycles."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector_paused() -> Iterator[None]:
    """Pause the cyclic collector, and leave it as it was.

    One full pass over the objects that numba alone brings costs as much as scoring thirty 2-megapixel images, and
    it would fall into the middle of every run.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
