"""The cache of compiled loops, across edits of the groups that they take."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from segeval.kernels.jit import loop, part

SOURCE = """
from typing import Any, NamedTuple
import numpy as np
from segeval.kernels import jit

jit._stamp = lambda: {stamp!r}

class {name}(NamedTuple):
    numbers: Any

@jit.part
def _both(group, k):
    return group.numbers[k] + group.numbers[k + 1]

@jit.loop
def total(group):
    return _both(group, 0) * {factor}

print(total({name}(np.array([20, 1]))), sum(total.stats.cache_hits.values()))
"""


def _run(folder: Path, **words: object) -> list[str]:
    (folder / "kernels_of_a_test.py").write_text(SOURCE.format(**words))
    root = Path(__file__).resolve().parents[2]
    path = os.pathsep.join([str(folder), str(root), os.environ.get("PYTHONPATH", "")])
    run = subprocess.run(
        [sys.executable, "-c", "import kernels_of_a_test"],
        env={
            **os.environ,
            "PYTHONPATH": path,
            "NUMBA_CACHE_DIR": str(folder / "cache"),
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        capture_output=True,
        text=True,
        check=True,
    )
    return run.stdout.split()


def test_a_group_of_another_name_is_compiled_again(tmp_path: Path) -> None:
    assert _run(tmp_path, name="Old", factor=2, stamp="a") == ["42", "0"]
    assert _run(tmp_path, name="Old", factor=2, stamp="a") == ["42", "1"]  # loaded
    assert _run(tmp_path, name="New", factor=3, stamp="b") == ["63", "0"]
    assert _run(tmp_path, name="New", factor=3, stamp="b") == ["63", "1"]


@part
def _sum(numbers):  # type: ignore[no-untyped-def]
    total = 0
    for k in range(numbers.size):
        total += numbers[k]
    return total


@loop
def _twice(numbers):  # type: ignore[no-untyped-def]
    return 2 * _sum(numbers)


def test_a_part_runs_in_python_and_in_loops() -> None:
    numbers = np.arange(5)
    assert _sum(numbers) == 10
    assert _twice(numbers) == 20
