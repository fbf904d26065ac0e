from __future__ import annotations

import csv
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from segeval_baselines.checkpoints.checkpoint import Checkpoint, load_checkpoint
from segeval_baselines.data.splits import open_split
from segeval_baselines.recipes import Recipe
from segeval_baselines.training.batches import Stream
from segeval_baselines.training.history import read_history
from segeval_baselines.training.jobs import Budget, Job
from segeval_baselines.training.loop import run_job

from segeval.errors import SegevalError
from tests.baselines.toy import toy_job, write_toy


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return write_toy(tmp_path / "toy")


def weights_of(folder: Path, name: str = "last.pt") -> dict[str, torch.Tensor]:
    return dict(load_checkpoint(folder / name).weights)


def assert_same(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> None:
    assert one.keys() == two.keys()
    for name in one:
        assert torch.equal(one[name], two[name]), name


@pytest.mark.parametrize("ema", [None, 0.9])
def test_resuming_gives_the_weights_of_an_uninterrupted_run(toy: Path, tmp_path: Path, ema: float | None) -> None:
    job = toy_job(toy, 8, recipe=Recipe(batch=2, rotation=5, elastic=1, colour=0.1, ema=ema))
    run_job(job, tmp_path / "whole")

    def stop(moment: Any) -> None:
        if moment.entry.step == 4:
            # As Ctrl-C does: the step in progress is finished and saved.
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run_job(job, tmp_path / "parts", report=stop)
    assert load_checkpoint(tmp_path / "parts" / "last.pt").training["state"]["step"] == 5
    run_job(Job.from_json(tmp_path / "parts" / "job.json"), tmp_path / "parts", resume=True)
    assert_same(weights_of(tmp_path / "whole"), weights_of(tmp_path / "parts"))
    assert load_checkpoint(tmp_path / "parts" / "last.pt").training["state"]["step"] == 8


def test_a_seed_decides_everything(toy: Path, tmp_path: Path) -> None:
    run_job(toy_job(toy, 3), tmp_path / "a")
    run_job(toy_job(toy, 3, threads=2), tmp_path / "b")
    run_job(toy_job(toy, 3, seed=1), tmp_path / "c")
    assert_same(weights_of(tmp_path / "a"), weights_of(tmp_path / "b"))
    other = weights_of(tmp_path / "c")
    assert not torch.equal(other["head.weight"], weights_of(tmp_path / "a")["head.weight"])


def test_a_folder_is_left_with_everything(toy: Path, tmp_path: Path) -> None:
    moments: list[Any] = []
    out = tmp_path / "run"
    checkpoint = run_job(toy_job(toy, 6), out, report=moments.append)
    assert {p.name for p in out.iterdir()} >= {"best.pt", "last.pt", "history.csv", "curve.png", "job.json"}
    assert [m.entry.step for m in moments] == [1, 2, 3, 4, 5, 6]
    assert moments[-1].fraction == 1.0
    assert [m.entry.step for m in moments if m.entry.mIoU is not None] == [3, 6]
    with (out / "history.csv").open() as stream:
        assert [int(row["step"]) for row in csv.DictReader(stream)] == [1, 2, 3, 4, 5, 6]
    assert read_history(out)[-1].mIoU == moments[-1].entry.mIoU
    with Image.open(out / "curve.png") as picture:
        assert picture.size == (720, 360)
    assert checkpoint.taxonomy.names == ("ground", "box", "ball")
    assert checkpoint.version
    assert checkpoint.training == {}
    best = max(m.entry.mIoU for m in moments if m.entry.mIoU is not None)
    assert checkpoint.notes["validation mIoU"] == best


def test_training_learns(toy: Path, tmp_path: Path) -> None:
    moments: list[Any] = []
    run_job(toy_job(toy, 60, recipe=Recipe(batch=4, rate=1e-2), validations=1), tmp_path / "run", report=moments.append)
    assert moments[-1].entry.loss < 0.5 * moments[0].entry.loss
    assert moments[-1].entry.mIoU > 0.5  # the majority class alone has about 0.3


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(batch=2, optimiser="sgd", rate=0.01, schedule="step", class_weights="median", clip=1.0),
        Recipe(batch=2, loss="dice", schedule="constant", warmup=0.0, image_scale=0.5),
        Recipe(batch=3, loss="lovasz_softmax", ema=0.5),
        Recipe(batch=2, loss="focal", loss_options=(("gamma", 1.0),), crop=(32, 32)),
    ],
)
def test_recipes_of_all_kinds_run(toy: Path, tmp_path: Path, recipe: Recipe) -> None:
    checkpoint = run_job(toy_job(toy, 3, recipe=recipe, validations=0), tmp_path / "run")
    assert checkpoint.recipe == recipe
    assert all(torch.isfinite(v).all() for v in checkpoint.weights.values())


@pytest.mark.parametrize(
    ("model", "options"),
    [
        ("pspnet", {"width": 4}),
        ("deeplabv3plus", {"width": 4, "inner": 8, "low": 4}),
        ("fcn", {"width": 4, "hidden": 8}),
        ("segnet", {"width": 4, "kernel": 3, "shrink": 1}),
    ],
)
def test_each_network_trains_a_few_steps(toy: Path, tmp_path: Path, model: str, options: dict[str, Any]) -> None:
    job = toy_job(toy, 2, validations=1, validation_images=2).changed(model=model, options=options)
    checkpoint = run_job(job, tmp_path / "run")
    assert 0 <= checkpoint.notes["validation mIoU"] <= 1


def test_an_unpadded_network_trains_and_validates(toy: Path, tmp_path: Path) -> None:
    job = toy_job(toy, 2, validations=1).changed(
        options={"width": 4, "depth": 2, "norm": False, "shrink": 1, "padding": "valid"}
    )
    checkpoint = run_job(job, tmp_path / "run")
    assert "validation mIoU" in checkpoint.notes


def test_half_precision_trains(toy: Path, tmp_path: Path) -> None:
    checkpoint = run_job(toy_job(toy, 2, validations=1, amp=True, channels_last=True), tmp_path / "run")
    assert all(v.dtype != torch.bfloat16 for v in checkpoint.weights.values())
    assert 0 <= checkpoint.notes["validation mIoU"] <= 1


def test_seconds_are_a_budget_too(toy: Path, tmp_path: Path) -> None:
    job = toy_job(toy).changed(budget=Budget(seconds=0.2), validations=1)
    checkpoint = run_job(job, tmp_path / "run")
    assert checkpoint.notes["seconds"] >= 0.2
    assert checkpoint.notes["steps"] >= 1


def test_a_loss_that_is_no_number_stops_with_the_step_and_the_checkpoint(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from segeval_baselines.training import semantic_course as courses

    real, calls = courses.objective, []

    def spoiled(*arguments: Any) -> Any:
        total = real(*arguments)

        def loss(logits: Any, labels: torch.Tensor) -> torch.Tensor:
            calls.append(1)
            value: torch.Tensor = total(logits, labels)
            return value * float("nan") if len(calls) == 5 else value

        return loss

    monkeypatch.setattr(courses, "objective", spoiled)
    with pytest.raises(SegevalError, match=r"loss is nan at step 5; the last good checkpoint is .*last\.pt"):
        run_job(toy_job(toy, 8, validations=4), tmp_path / "run")
    assert load_checkpoint(tmp_path / "run" / "last.pt").training["state"]["step"] == 4


def test_lack_of_memory_says_what_to_turn(toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from segeval_baselines.networks.unet import UNet

    def fail(self: UNet, x: torch.Tensor) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    monkeypatch.setattr(UNet, "forward", fail)
    with pytest.raises(SegevalError, match="out of memory with 2 crops of 48x64 a step; lower --batch or --crop"):
        run_job(toy_job(toy), tmp_path / "run")


def test_wrong_jobs_are_told_in_one_line(toy: Path, tmp_path: Path) -> None:
    with pytest.raises(SegevalError, match=r"holds no last\.pt"):
        run_job(toy_job(toy), tmp_path / "none", resume=True)
    run_job(toy_job(toy, 2, validations=0), tmp_path / "run")
    with pytest.raises(SegevalError, match="was trained with another seed"):
        run_job(toy_job(toy, 2, validations=0, seed=5), tmp_path / "run", resume=True)
    with pytest.raises(SegevalError, match="is no loss"):
        run_job(toy_job(toy, recipe=Recipe(loss="crossentropy")), tmp_path / "run2")
    with pytest.raises(SegevalError, match="besides labels"):
        run_job(toy_job(toy, recipe=Recipe(loss="boundary")), tmp_path / "run3")
    for wrong in ({"optimiser": "adam"}, {"rate": 0.0}, {"crop": (0, 3)}, {"scales": (2.0, 1.0)}, {"batch": 0}):
        with pytest.raises(SegevalError):
            Recipe(**wrong)  # type: ignore[arg-type]
    for budget in ({}, {"iterations": 1, "seconds": 1.0}, {"seconds": -1.0}):
        with pytest.raises(SegevalError, match="budget"):
            Budget(**budget)  # type: ignore[arg-type]


def test_a_batch_of_one_is_told_where_it_can_not_be(toy: Path, tmp_path: Path) -> None:
    job = toy_job(toy, 1, validations=0, recipe=Recipe(batch=1)).changed(model="pspnet", options={"width": 4})
    with pytest.raises(SegevalError, match="needs more than one image; give --batch 2"):
        run_job(job, tmp_path / "run")


def test_schedules() -> None:
    poly = Recipe(schedule="poly", power=0.9, warmup=0.0)
    assert poly.factor(0.0) == 1.0
    assert poly.factor(0.5) == pytest.approx(0.5**0.9)
    assert poly.factor(1.0) == 0.0
    step = Recipe(schedule="step", warmup=0.0)
    assert [step.factor(f) for f in (0.0, 0.7, 0.9)] == [1.0, 0.1, 0.01]
    warm = Recipe(schedule="constant", warmup=0.1)
    assert 0 < warm.factor(0.0) < warm.factor(0.05) < warm.factor(0.1) == 1.0


def test_every_epoch_shows_every_image_once(toy: Path) -> None:
    stream = Stream(open_split(f"folder:{toy}", "train"), Recipe(batch=4), seed=3)
    shown = [stream._order[place] for place in range(12)]
    assert sorted(shown[:6]) == sorted(shown[6:]) == sorted(stream._order.keys)
    assert shown[:6] != shown[6:]
    halves = [Stream(stream.samples, Recipe(batch=4), seed=3, rank=r, size=2).batch(1) for r in range(2)]
    whole = stream.batch(1)
    assert torch.equal(torch.cat([halves[0].images[:1], halves[1].images[:1]]), whole.images[:2])


def test_a_checkpoint_survives_both_formats(toy: Path, tmp_path: Path) -> None:
    made = run_job(toy_job(toy, 2, validations=1), tmp_path / "run")
    for name in ("copy.pt", "copy.safetensors"):
        made.save(tmp_path / name)
        again = load_checkpoint(tmp_path / name)
        assert_same(dict(again.weights), dict(made.weights))
        assert again.header() == made.header()
    (tmp_path / "bad.pt").write_bytes(b"\x80\x04garbage")
    (tmp_path / "bad.safetensors").write_bytes(b"garbage")
    for name in ("bad.pt", "bad.safetensors"):
        with pytest.raises(SegevalError, match="is no checkpoint"):
            load_checkpoint(tmp_path / name)
    with pytest.raises(SegevalError, match="no such checkpoint"):
        load_checkpoint(tmp_path / "absent.pt")


def test_a_pickle_is_never_executed(tmp_path: Path) -> None:
    import pickle

    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "exploded",))

    (tmp_path / "bomb.pt").write_bytes(pickle.dumps(Bomb()))
    torch.save({"weights": Bomb()}, tmp_path / "bomb2.pt")
    for name in ("bomb.pt", "bomb2.pt"):
        with pytest.raises(SegevalError):
            load_checkpoint(tmp_path / name)
    assert not (tmp_path / "exploded").exists()


def test_published_weights_start_a_training(toy: Path, tmp_path: Path) -> None:
    from segeval_baselines.checkpoints.weights import IMAGENET

    job = toy_job(toy, 1, validations=0)
    made = run_job(job, tmp_path / "first")
    tables: list[str] = []
    start = job.changed(weights=str(tmp_path / "first" / "last.pt"), seed=7)
    started = run_job(start, tmp_path / "second", announce=tables.append)
    assert tables[0].startswith("loaded ")
    assert (started.mean, started.std) == IMAGENET
    assert isinstance(made, Checkpoint)


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def test_two_processes_score_each_image_once_and_agree(toy: Path, tmp_path: Path) -> None:
    job = toy_job(toy, 2, validations=1, recipe=Recipe(batch=2))
    script = tmp_path / "job.py"
    script.write_text(
        "import sys, torch\n"
        "torch.set_num_threads(1)\n"
        "from pathlib import Path\n"
        "from segeval_baselines.training.jobs import Job\n"
        "from segeval_baselines.training.loop import run_job\n"
        "made = run_job(Job.from_json(Path(sys.argv[1])), sys.argv[2])\n"
        "print(made.notes['validation mIoU'])\n"
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
    from segeval_baselines.prediction.inference import Predictor
    from segeval_baselines.training.validation import validate

    checkpoint = load_checkpoint(tmp_path / "run")
    alone = validate(Predictor.of(checkpoint), open_split(job.data, "val"))
    assert alone.values["mIoU"] == float(printed[0])
