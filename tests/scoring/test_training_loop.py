"""The example of the documentation runs, alone and on two ranks, and its score grows."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")

SCRIPT = Path(__file__).resolve().parents[2] / "docs" / "training_loop.py"
LINE = re.compile(r"epoch (\d)  loss [\d.]+  mIoU ([\d.]+) \[([\d.]+), ([\d.]+)\]")


def _run(*words: str) -> tuple[list[tuple[float, ...]], str]:
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, env=env, timeout=600)
    assert done.returncode == 0, done.stderr
    return [tuple(map(float, found)) for found in LINE.findall(done.stdout)], done.stdout.splitlines()[-1]


def test_alone() -> None:
    epochs, signature = _run(str(SCRIPT), "--epochs", "3", "--images", "21", "--device", "cpu")
    assert [int(e[0]) for e in epochs] == [1, 2, 3]
    assert all(low <= score <= high for _, score, low, high in epochs)
    assert epochs[-1][1] > epochs[0][1]
    assert "images:21" in signature


@pytest.mark.skipif(sys.platform == "win32", reason="torchrun with gloo")
def test_on_two_ranks() -> None:
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    epochs, signature = _run(*launcher, str(SCRIPT), "--epochs", "1", "--images", "21", "--device", "cpu")
    assert len(epochs) == 1
    # The sampler pads 21 images to 22; the one that comes twice counts once.
    _, alone = _run(str(SCRIPT), "--epochs", "1", "--images", "21", "--device", "cpu")
    assert signature == alone
