"""Small folders of label maps."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.given.problems import png_bytes


def label_folders(root: Path, images: int = 11, classes: int = 4) -> tuple[Path, Path]:
    """Predictions and truth; names of differing length, so that sorting them matters."""
    rng = np.random.default_rng(0)
    for side in ("pred", "gt"):
        (root / side).mkdir(parents=True)
    for i in range(images):
        truth = rng.integers(0, classes, (6, 5)).astype(np.uint8)
        guess = np.where(rng.random((6, 5)) < 0.6, truth, rng.integers(0, classes, (6, 5))).astype(np.uint8)
        (root / "gt" / f"i{i}.png").write_bytes(png_bytes(truth))
        (root / "pred" / f"i{i}.png").write_bytes(png_bytes(guess))
    return root / "pred", root / "gt"
