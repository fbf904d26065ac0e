"""Cityscapes' folders, on a tree of two tiny images."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from segeval_baselines.data.cityscapes import CITYSCAPES, IGNORED
from segeval_baselines.data.samples import VOID
from segeval_baselines.data.splits import open_split
from segeval_baselines.prediction.folders import predict_folder
from segeval_baselines.prediction.outputs import Outputs
from segeval_baselines.recipes import Recipe
from segeval_baselines.suite.export import export_labels
from segeval_baselines.training.jobs import Budget, Job
from segeval_baselines.training.loop import run_job

import segeval
from segeval.errors import SegevalError

CITIES = {"train": ("aachen", "bremen"), "val": ("ulm",)}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Images of 40x64 whose labels hold every label id."""
    rng = np.random.default_rng(3)
    for split, cities in CITIES.items():
        for city in cities:
            stem = f"{city}_000000_000019"
            labels = rng.integers(0, 34, (5, 8)).astype(np.uint8).repeat(8, axis=0).repeat(8, axis=1)
            labels[0, :35] = [*range(34), 255]
            for folder, ending, values in (
                ("leftImg8bit", "leftImg8bit", np.stack([labels * 7] * 3, axis=-1)),
                ("gtFine", "gtFine_labelIds", labels),
            ):
                place = tmp_path / folder / split / city
                place.mkdir(parents=True)
                Image.fromarray(values).save(place / f"{stem}_{ending}.png")
    return tmp_path


def test_classes_are_the_benchmarks() -> None:
    assert len(CITYSCAPES) == 19
    assert CITYSCAPES.ids == (7, 8, 11, 12, 13, 17, *range(19, 29), 31, 32, 33)
    assert sum(CITYSCAPES.things or ()) == 8
    assert set(IGNORED) == {*range(7), 9, 10, 14, 15, 16, 18, 29, 30, 255}


def test_label_ids_become_train_ids(root: Path) -> None:
    split = open_split(f"cityscapes:{root}", "train")
    assert split.keys() == ["aachen_000000_000019", "bremen_000000_000019"]
    sample = split.load("aachen_000000_000019")
    wanted = np.full(35, VOID)
    for position, value in enumerate(CITYSCAPES.ids):
        wanted[value] = position
    assert np.array_equal(sample.labels[0, :34], wanted[:34])
    assert sample.labels[0, 34] == VOID
    assert sample.image.shape == (40, 64, 3)


def test_a_network_trains_predicts_and_is_scored_in_label_ids(root: Path, tmp_path: Path) -> None:
    options = {"width": 4, "depth": 2, "norm": True, "shrink": 1}
    job = Job("unet", f"cityscapes:{root}", Recipe(batch=2), Budget(iterations=2), options=options, validations=1)
    checkpoint = run_job(job.changed(device="cpu"), tmp_path / "run")
    scored = export_labels(open_split(job.data, "val"), tmp_path / "exported", "street")
    assert json.loads(scored.classes.read_text())["void"] == list(IGNORED)
    predict_folder(checkpoint, scored.images, Outputs(tmp_path / "out"))
    values = np.array(Image.open(tmp_path / "out" / "ulm_000000_000019.png"))
    assert set(np.unique(values)) <= set(CITYSCAPES.ids)
    result = segeval.score(tmp_path / "out", scored.truth, task="semantic", classes=str(scored.classes))
    assert result.images == 1
    assert 0 <= result["mIoU"] <= 1


def test_what_is_missing_is_named(root: Path) -> None:
    with pytest.raises(SegevalError, match="no public labels; score val"):
        open_split(f"cityscapes:{root}", "test")
    with pytest.raises(SegevalError, match="holds no CITY"):
        open_split(f"cityscapes:{root / 'gtFine'}", "val")
    (root / "gtFine" / "val" / "ulm" / "ulm_000000_000019_gtFine_labelIds.png").unlink()
    with pytest.raises(SegevalError, match="no labels for this image; unpack gtFine"):
        open_split(f"cityscapes:{root}", "val")
