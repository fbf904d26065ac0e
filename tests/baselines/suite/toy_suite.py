"""A suite of two tiny networks on a tiny data set."""

from __future__ import annotations

from pathlib import Path

from segeval_baselines.suite.board import write_board
from segeval_baselines.suite.form import Suite
from segeval_baselines.suite.members import run_member
from segeval_baselines.suite.reading import read_suite

from tests.baselines.toy import write_toy

TEXT = """
[data.toy]
spec = "folder:${TOY}"

[defaults]
seeds = [0, 1]
iterations = 4

[[member]]
model = "unet"
options = {width = 4, depth = 2, norm = true, shrink = 1}
recipe = {batch = 2}

[[member]]
model = "pspnet"
options = {width = 4}
recipe = {batch = 2, rate = 0.002}
note = "a smaller step"
"""


def write_suite(folder: Path, text: str = TEXT) -> Path:
    """The data in ``data/`` and the suite in ``toy.toml``."""
    if not (folder / "data").is_dir():
        write_toy(folder / "data")
    path = folder / "toy.toml"
    path.write_text(text)
    return path


def read(path: Path) -> Suite:
    """The suite with its place filled."""
    return read_suite(path, [f"TOY={path.parent / 'data'}"])


def run_all(suite: Suite, root: Path) -> list[str]:
    """Run every member in this process; returns the steps that were done, as ``MEMBER seed N: STEP``."""
    said: list[str] = []
    for member in suite.members:
        run_member(suite, member, root, device="cpu", say=lambda text, name=member.name: said.append(f"{name} {text}"))
    write_board(suite, root)
    return [text for text in said if not text.endswith("up to date")]


def table(root: Path) -> list[list[str]]:
    """The exact table without what differs from run to run: time and memory."""
    lines = [line.split(",") for line in (root / "leaderboard.csv").read_text().splitlines()]
    left_out = [lines[0].index(name) for name in ("seconds", "peak MiB", "latency", "memory")]
    return [[cell for k, cell in enumerate(line) if k not in left_out] for line in lines]
