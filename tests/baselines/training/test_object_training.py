"""Detectors in the training loop that semantic networks train in."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from segeval_baselines.checkpoints.checkpoint import load_checkpoint
from segeval_baselines.data.splits import open_objects
from segeval_baselines.prediction.object_inference import ObjectPredictor
from segeval_baselines.recipes import Recipe
from segeval_baselines.training.history import read_history
from segeval_baselines.training.jobs import Job
from segeval_baselines.training.loop import run_job
from segeval_baselines.training.object_batches import ObjectStream
from segeval_baselines.training.object_course import ObjectCourse, image_colours
from segeval_baselines.training.opening import training_images
from segeval_baselines.training.validation import validate_instances, validate_panoptic
from torch import nn

from segeval.errors import SegevalError
from tests.baselines.object_data import write_nuclei
from tests.baselines.toy_objects import Listed, toy_objects_job, toy_sample, write_toys
from tests.baselines.training.test_training import assert_same, free_port, weights_of

MODELS = {"mask_rcnn": (validate_instances, "AP"), "panoptic_fpn": (validate_panoptic, "PQ")}


@pytest.fixture
def toys(tmp_path: Path) -> Path:
    return write_toys(tmp_path / "toys")


@pytest.mark.parametrize("model", MODELS)
def test_resuming_gives_the_weights_of_an_uninterrupted_run(toys: Path, tmp_path: Path, model: str) -> None:
    job = toy_objects_job(toys, model, 6)
    run_job(job, tmp_path / "whole")

    def stop(moment: Any) -> None:
        if moment.entry.step == 3:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run_job(job, tmp_path / "parts", report=stop)
    assert load_checkpoint(tmp_path / "parts" / "last.pt").training["state"]["step"] == 4
    run_job(Job.from_json(tmp_path / "parts" / "job.json"), tmp_path / "parts", resume=True)
    assert_same(weights_of(tmp_path / "whole"), weights_of(tmp_path / "parts"))


def test_a_seed_decides_everything(toys: Path, tmp_path: Path) -> None:
    for name, changes in (("a", {}), ("b", {"threads": 2}), ("c", {"seed": 1})):
        run_job(toy_objects_job(toys, "mask_rcnn", 3, validations=0, **changes), tmp_path / name)
    assert_same(weights_of(tmp_path / "a"), weights_of(tmp_path / "b"))
    name = "roi_heads.box_predictor.cls_score.weight"
    assert not torch.equal(weights_of(tmp_path / "a")[name], weights_of(tmp_path / "c")[name])


@pytest.mark.parametrize("model", MODELS)
def test_a_folder_is_left_with_everything(toys: Path, tmp_path: Path, model: str) -> None:
    validate, headline = MODELS[model]
    moments: list[Any] = []
    checkpoint = run_job(toy_objects_job(toys, model, 4), tmp_path / "run", report=moments.append)
    assert [m.entry.step for m in moments if m.entry.score()] == [2, 4]
    assert {m.entry.score()[0] for m in moments if m.entry.score()} == {headline}
    with (tmp_path / "run" / "history.csv").open() as stream:
        columns = next(iter(csv.DictReader(stream)))
    others = {"AP": ["AP50"], "PQ": ["SQ", "RQ"]}[headline]
    assert list(columns) == ["step", "spent", "loss", "rate", headline, *others]
    assert read_history(tmp_path / "run")[-1].score() == moments[-1].entry.score()
    with Image.open(tmp_path / "run" / "curve.png") as picture:
        assert picture.size == (720, 360)
    best = max(m.entry.score()[1] for m in moments if m.entry.score())
    assert checkpoint.notes[f"validation {headline}"] == best
    # What the checkpoint predicts again is what was validated.
    samples = open_objects(toy_objects_job(toys, model).data, "val")
    again = validate(ObjectPredictor.of(checkpoint), samples)
    assert again[headline] == best
    assert checkpoint.taxonomy == samples.taxonomy
    checkpoint.save(tmp_path / "copy.safetensors")
    assert_same(dict(load_checkpoint(tmp_path / "copy.safetensors").weights), dict(checkpoint.weights))


@pytest.mark.parametrize("model", MODELS)
def test_half_precision_averages_and_every_schedule_run(toys: Path, tmp_path: Path, model: str) -> None:
    recipe = Recipe(batch=2, optimiser="sgd", rate=0.005, schedule="step", ema=0.9, crop=(48, 64), image_scale=1.5)
    job = toy_objects_job(toys, model, 2, recipe=recipe, amp=True, channels_last=True, validations=1)
    checkpoint = run_job(job, tmp_path / "run")
    assert all(torch.isfinite(v).all() for v in checkpoint.weights.values() if v.is_floating_point())
    assert all(v.dtype != torch.bfloat16 for v in checkpoint.weights.values())


def test_a_loss_that_is_no_number_stops_with_the_step(
    toys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ObjectCourse, "loss", lambda *_: torch.tensor(float("nan"), requires_grad=True))
    with pytest.raises(SegevalError, match="loss is nan at step 1; no checkpoint was saved yet; lower --rate"):
        run_job(toy_objects_job(toys, "mask_rcnn"), tmp_path / "run")


def test_lack_of_memory_says_what_to_turn(toys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    monkeypatch.setattr(ObjectCourse, "loss", fail)
    with pytest.raises(SegevalError, match="out of memory with 2 crops of 64x80 a step; lower --batch or --crop"):
        run_job(toy_objects_job(toys, "mask_rcnn"), tmp_path / "run")


def test_data_without_stuff_are_for_mask_rcnn(tmp_path: Path) -> None:
    write_nuclei(tmp_path)
    job = toy_objects_job(tmp_path, "panoptic_fpn").changed(data=f"nuclei:{tmp_path}")
    with pytest.raises(SegevalError, match="has no stuff; train mask_rcnn"):
        run_job(job, tmp_path / "run")
    assert training_images("mask_rcnn", job.data, None) == 1
    checkpoint = run_job(
        job.changed(model="mask_rcnn", options=toy_objects_job(tmp_path, "mask_rcnn").options), tmp_path / "run"
    )
    assert checkpoint.notes["validation AP"] >= 0


def test_images_are_resized_to_a_shorter_side() -> None:
    recipe = Recipe(short_side=32, long_side=60)
    assert recipe.zoom((64, 80)) == 0.5
    assert recipe.zoom((200, 64)) == pytest.approx(0.3)  # the longer side would be too long
    assert Recipe(image_scale=0.7).zoom((64, 80)) == 0.7
    stream = ObjectStream(Listed({"a": toy_sample()}), recipe, 0)
    assert stream.target == (32, 40)
    assert stream.batch(0).images.shape[-2:] == (32, 40)
    with pytest.raises(SegevalError, match="make no sense"):
        Recipe(short_side=0)


def test_colours_are_those_of_the_images(toys: Path) -> None:
    samples = open_objects(f"coco:{toys}", "train")
    mean, std = image_colours(samples)
    pixels = torch.cat([torch.from_numpy(samples.load(k).image).reshape(-1, 3) for k in samples.keys()]).double() / 255
    torch.testing.assert_close(torch.tensor(mean).double(), pixels.mean(0), atol=1e-5, rtol=0)
    torch.testing.assert_close(torch.tensor(std).double(), pixels.std(0, correction=0), atol=1e-5, rtol=0)


def test_published_weights_start_a_training(toys: Path, tmp_path: Path) -> None:
    from segeval_baselines.checkpoints.weights import IMAGENET

    first = run_job(toy_objects_job(toys, "mask_rcnn", 1, validations=0), tmp_path / "first")
    tables: list[str] = []
    job = toy_objects_job(toys, "panoptic_fpn", 1, validations=0, weights=str(tmp_path / "first" / "last.pt"))
    started = run_job(job, tmp_path / "second", announce=tables.append)
    assert tables[0].startswith(f"loaded {len(first.weights)} entries")
    assert (started.mean, started.std) == IMAGENET


def test_two_processes_score_each_image_once_and_agree(toys: Path, tmp_path: Path) -> None:
    # An image of a batch of two has no objects: one process's heads get gradients of zero, and nobody waits for ever.
    job = toy_objects_job(toys, "mask_rcnn", 2, validations=1)
    script = tmp_path / "job.py"
    script.write_text(
        "import sys, torch\n"
        "torch.set_num_threads(1)\n"
        "from pathlib import Path\n"
        "from segeval_baselines.training.jobs import Job\n"
        "from segeval_baselines.training.loop import run_job\n"
        "made = run_job(Job.from_json(Path(sys.argv[1])), sys.argv[2])\n"
        "print(made.notes['validation AP'])\n"
    )
    (tmp_path / "job.json").write_text(job.to_json())
    environment = {**os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port(), "WORLD_SIZE": "2"}
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    command = [sys.executable, str(script), str(tmp_path / "job.json"), str(tmp_path / "run")]
    processes = [
        subprocess.Popen(command, env={**environment, "RANK": str(r)}, stdout=subprocess.PIPE, text=True)
        for r in range(2)
    ]
    printed = [process.communicate(timeout=240)[0].strip() for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert printed[0] == printed[1] != ""
    checkpoint = load_checkpoint(tmp_path / "run")
    assert isinstance(checkpoint.network(), nn.Module)
    alone = validate_instances(ObjectPredictor.of(checkpoint), open_objects(job.data, "val"))
    assert alone.values["AP"] == float(printed[0])
