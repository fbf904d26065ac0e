"""Whether the kernels of a task were compiled before; imports no numba, so that it can be asked cheaply."""

from __future__ import annotations

import os
from pathlib import Path

# The module whose kernels a task can't do without.
_MAIN = {
    "semantic": "counting/confusion",
    "panoptic": "counting/segments",
    "instance": "counting/matching",
    "convert": "decoding/rle",
}


def is_compiled(task: str) -> bool:
    """Whether numba's cache on disk holds the task's kernels, newer than their source.

    True where that can't be told (a cache elsewhere), so that nothing false is announced.
    """
    source = Path(__file__).parent / f"{_MAIN.get(task, '')}.py"
    if os.environ.get("NUMBA_CACHE_DIR") or not source.exists() or not os.access(source.parent, os.W_OK):
        return True
    cache = source.parent / "__pycache__"
    indexes = list(cache.glob(f"{source.stem}.*.nbi")) if cache.is_dir() else []
    return any(index.stat().st_mtime >= source.stat().st_mtime for index in indexes)
