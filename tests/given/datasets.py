"""Where the real data of the tests lie; they are not part of the project, so tests skip without them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

DATA = Path(os.environ.get("SEGEVAL_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))


def dataset(name: str) -> Path:
    """The folder of a data set, or a skip that says what is absent and how to give it."""
    folder = DATA / name
    if not folder.is_dir():
        pytest.skip(f"needs the data set {name!r} in {DATA} (set SEGEVAL_DATA)")
    return folder
