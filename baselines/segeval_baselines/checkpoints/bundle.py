"""Make one of the package's own networks of a training: ``python -m segeval_baselines.checkpoints.bundle RUN NAME``."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from segeval_baselines.checkpoints.checkpoint import BUNDLED, Checkpoint, load_checkpoint

MOST_BYTES = 2 * 2**20


def halved(checkpoint: Checkpoint) -> Checkpoint:
    """The same with weights in half precision and nothing that only training needs."""
    weights = {k: v.half() if v.is_floating_point() else v for k, v in checkpoint.weights.items()}
    return replace(checkpoint, weights=weights, training={})


def bundle(run: Path, name: str, folder: Path = BUNDLED) -> Path:
    """Write ``NAME.safetensors`` of a training's best checkpoint; ``NAME-demo`` then names it."""
    path = halved(load_checkpoint(run)).save(folder / f"{name}.safetensors")
    if path.stat().st_size > MOST_BYTES:
        size = path.stat().st_size
        path.unlink()
        raise SystemExit(f"{name} has {size} bytes; at most {MOST_BYTES} come with the package")
    return path


if __name__ == "__main__":
    print(bundle(Path(sys.argv[1]), sys.argv[2]))
