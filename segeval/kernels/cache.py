"""Whether the kernels of a task were compiled before; imports no numba, so that it can be asked cheaply."""

from __future__ import annotations

import os
from pathlib import Path

# The module whose kernels a task can't do without.
_MAIN = {"semantic": "confusion", "panoptic": "segments", "instance": "matching", "convert": "rle"}


def is_compiled(task: str) -> bool:
    """Whether numba's cache on disk holds the task's kernels, newer than their source.

    True where that can't be told (a cache elsewhere), so that nothing false is announced.
    """
    here = Path(__file__).parent
    cache = here / "__pycache__"
    if os.environ.get("NUMBA_CACHE_DIR") or not os.access(here, os.W_OK):
        return True
    source = here / f"{_MAIN.get(task, '')}.py"
    if not source.exists():
        return True
    indexes = list(cache.glob(f"{source.stem}.*.nbi")) if cache.is_dir() else []
    return any(index.stat().st_mtime >= source.stat().st_mtime for index in indexes)
