"""Ranks of torch.distributed: whatever their number, every one of them gets the bits of one process."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segeval import Accumulator, Tally

torch = pytest.importorskip("torch")

IMAGES = 10


def _image(i: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(i)
    return rng.integers(0, 3, (5, 7)), rng.integers(0, 3, (5, 7))


def _whole() -> Tally:
    seen = Accumulator("semantic", classes=3)
    for i in range(IMAGES):
        prediction, truth = _image(i)
        seen.update(prediction=prediction, truth=truth, key=f"image {i}")
    return seen.tally


def _rank(rank: int, world: int, folder: str) -> None:
    import torch.distributed as dist

    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=world)
    seen = Accumulator("semantic", classes=3)
    share = -(-IMAGES // world)
    for i in range(rank, world * share, world):  # a padded sampler's: the first images come again at the end
        prediction, truth = _image(i % IMAGES)
        seen.update(prediction=prediction, truth=truth, key=f"image {i % IMAGES}")
    own = len(seen.tally)
    whole = seen.gather()
    whole.tally.save(Path(folder) / f"{rank}.npz")
    Path(folder, f"{rank}.txt").write_text(f"{own} {len(seen.tally)} {whole.tally.duplicates}")
    empty = Accumulator("semantic", classes=3)
    if rank == 0:
        empty.update(prediction=[[0]], truth=[[1]], key="only")
    assert len(empty.gather().tally) == 1
    dist.destroy_process_group()


@pytest.mark.skipif(sys.platform == "win32", reason="gloo's file store")
@pytest.mark.parametrize("world", [1, 2, 3])
def test_every_rank_has_the_same_bits(world: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        torch.multiprocessing.spawn(_rank, (world, folder), nprocs=world)
        for rank in range(world):
            assert Tally.load(Path(folder) / f"{rank}.npz") == _whole()
            own, after, duplicates = map(int, Path(folder, f"{rank}.txt").read_text().split())
            assert own == after
            assert duplicates == -(-IMAGES // world) * world - IMAGES


def test_without_ranks_it_is_a_copy() -> None:
    seen = Accumulator("semantic", classes=2)
    seen.update(prediction=[[0, 1]], truth=[[0, 0]], key="a")
    copy = seen.gather()
    seen.reset()
    assert copy.compute()["aAcc"] == 0.5
