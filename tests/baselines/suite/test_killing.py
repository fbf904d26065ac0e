"""A suite survives what a machine does to it: its driver and its members killed, and started again."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from segeval_baselines.suite.ledger import Ledger
from segeval_baselines.suite.members import LOCK, failure_of
from segeval_baselines.suite.plan import plan_of

from tests.baselines.suite.toy_suite import read, run_all, table, write_suite

LONG = """
references = ["constant"]

[data.toy]
spec = "folder:${TOY}"

[[member]]
model = "unet"
iterations = 500
validations = 50
options = {width = 4, depth = 2, norm = true, shrink = 1}
recipe = {batch = 2}
"""


def start(path: Path, root: Path) -> subprocess.Popen[bytes]:
    """The command, in a process of its own."""
    words = ["suite", str(path), "--out", str(root), "--data", f"TOY={path.parent / 'data'}", "--device", "cpu"]
    return subprocess.Popen(
        [sys.executable, "-m", "segeval_cli", *words, "--jobs", "1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


def wait_for(what: Callable[[], bool]) -> None:
    limit = time.monotonic() + 120
    while not what():
        assert time.monotonic() < limit, "it never happened"
        time.sleep(0.02)


def is_free(lock: Path) -> bool:
    """Whether no process runs the member."""
    with lock.open("a") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True


def test_a_killed_suite_goes_on_and_gives_the_same_table(tmp_path: Path) -> None:
    path, root = write_suite(tmp_path, LONG), tmp_path / "out"
    suite = read(path)
    member = root / "members" / "unet"
    last = member / "seed0" / "training" / "last.pt"

    driver = start(path, root)
    wait_for(last.is_file)
    driver.kill()
    driver.communicate()
    # The member notices that its driver is gone, saves and ends.
    wait_for(lambda: is_free(member / LOCK))
    assert not Ledger(member / "seed0").read()["train"].done
    assert plan_of(suite, root)[0].steps == {"train": "goes on", "predict": "to do", "score": "to do"}

    before = last.stat().st_mtime_ns
    driver = start(path, root)
    wait_for(lambda: last.stat().st_mtime_ns > before)
    os.kill(int((member / LOCK).read_text()), signal.SIGKILL)
    out, _ = driver.communicate(timeout=120)
    assert driver.returncode == 1
    assert "unet failed: its process was killed by signal 9" in out.decode()
    assert "constant" in out.decode()
    assert failure_of(member) is not None

    done = run_all(suite, root)
    assert done[0] == "unet seed 0: train goes on"
    assert failure_of(member) is None
    run_all(suite, tmp_path / "whole")
    assert table(root) == table(tmp_path / "whole")
