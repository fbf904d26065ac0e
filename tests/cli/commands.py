"""Running the command inside the test's process, which spares an interpreter's start and the import of numba."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from segeval_cli import main


@dataclass
class Ran:
    """What one run of the command left."""

    code: int
    out: str
    err: str


def segeval(capsys: pytest.CaptureFixture[str], *words: str | Path) -> Ran:
    """Run `segeval WORDS`."""
    capsys.readouterr()
    try:
        code = main([str(word) for word in words])
    except SystemExit as stop:
        code = int(stop.code or 0)
    captured = capsys.readouterr()
    return Ran(code, captured.out, captured.err)
