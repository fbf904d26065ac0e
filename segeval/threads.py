"""Threads: how many there is room for, and work spread over them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from segeval.errors import SegevalError

K = TypeVar("K")
T = TypeVar("T")


def available_workers() -> int:
    """Threads that this process may run at once."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return max(1, os.cpu_count() or 1)


def mapped(work: Callable[[Sequence[K]], T], chunks: Sequence[Sequence[K]], workers: int | None = None) -> Iterator[T]:
    """What threads make of chunks of images, in the order of the chunks."""
    if workers is not None and workers < 1:
        raise SegevalError(f"{workers} workers can't score", remedy="give 1 or more")
    threads = min(workers or available_workers(), len(chunks))
    if threads == 1:
        yield from map(work, chunks)
        return
    pool = ThreadPoolExecutor(threads)
    try:
        # In order, so that the error reported is the first in the data's order, and not the fastest thread's.
        yield from pool.map(work, chunks)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def in_threads(work: Callable[[range], T], parts: Sequence[range], workers: int) -> list[T]:
    """The work on each chunk, in order."""
    if workers <= 1 or len(parts) <= 1:
        return [work(part) for part in parts]
    pool = ThreadPoolExecutor(min(workers, len(parts)))
    try:
        return list(pool.map(work, parts))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
