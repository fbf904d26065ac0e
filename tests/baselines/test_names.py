"""What `segeval_baselines` promises by name: cheap to import, documented, and usable from Python."""

from __future__ import annotations

import doctest
import importlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import segeval_baselines
from PIL import Image
from segeval_baselines import MODELS, build, load, predict, train
from segeval_baselines.training.history import read_history

import segeval
from segeval.errors import SegevalError
from tests.baselines.toy import SMALL, write_toy
from tests.baselines.toy_objects import SMALL as SMALL_DETECTOR
from tests.baselines.toy_objects import write_toys

INSTALL = "the baselines need torch; pip install 'segeval[baselines]'"
OPTIONS = {**SMALL, "shrink": 1}


def python(text: str) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter with the same path."""
    path = f"import sys; sys.path[:0] = {sys.path!r}\n"
    return subprocess.run([sys.executable, "-c", path + text], capture_output=True, text=True, check=False)


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return write_toy(tmp_path / "toy")


def trained(toy: Path, out: Path, **changes: Any) -> Any:
    """A small U-Net after a few steps."""
    asked = {"iterations": 2, "validations": 1, "recipe": {"batch": 2}, "options": OPTIONS, "device": "cpu", **changes}
    return train("unet", f"folder:{toy}", out, **asked)


def test_importing_loads_nothing_heavy() -> None:
    found = python("import segeval_baselines\nprint(sorted({'numpy', 'torch', 'PIL', 'numba'} & set(sys.modules)))")
    assert (found.stdout.strip(), found.stderr) == ("[]", "")
    assert (
        dir(segeval_baselines) == sorted(segeval_baselines.__all__) == ["MODELS", "build", "load", "predict", "train"]
    )
    assert all(getattr(segeval_baselines, name) is not None for name in segeval_baselines.__all__)
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        _ = segeval_baselines.trian


@pytest.mark.parametrize("name", segeval_baselines.__all__)
def test_without_torch_one_line_says_how_to_install_it(name: str) -> None:
    found = python(
        f"sys.modules['torch'] = None\nimport segeval_baselines\n"
        f"try:\n    segeval_baselines.{name}\nexcept Exception as error:\n    print(type(error).__name__, error)"
    )
    assert (found.stdout.strip(), found.stderr) == (f"SegevalError {INSTALL}", "")


def test_without_torch_the_commands_say_the_same() -> None:
    found = python("sys.modules['torch'] = None\nimport segeval_cli\nsys.exit(segeval_cli.main(['models']))")
    assert (found.returncode, found.stderr.strip()) == (1, f"segeval: {INSTALL}")


@pytest.mark.parametrize("home", ["zoo", "checkpoints.checkpoint", "prediction.folders", "training.starting"])
def test_examples_run(home: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    found = doctest.testmod(importlib.import_module(f"segeval_baselines.{home}"))
    assert found.attempted > 0
    assert found.failed == 0


def test_from_training_to_a_score_in_python(toy: Path, tmp_path: Path) -> None:
    moments: list[Any] = []
    checkpoint = trained(toy, tmp_path / "run", recipe={"batch": 2, "crop": [32, 32]}, report=moments.append)
    assert checkpoint.recipe == MODELS["unet"].presets["tiny"].recipe.changed({"batch": 2, "crop": (32, 32)})
    assert [m.entry.step for m in moments] == [1, 2]
    assert checkpoint.network().depth == build("unet", 3, "tiny", OPTIONS).depth == OPTIONS["depth"]
    found = predict(tmp_path / "run", toy / "images", tmp_path / "out", overlays=True, device="cpu")
    assert found == tmp_path / "out"
    assert len(list((found / "overlays").iterdir())) == 14
    settings: dict[str, Any] = {"task": "semantic", "classes": str(toy / "classes.json"), "missing": "skip"}
    assert segeval.score(found, toy / "labels", **settings).images == 14
    again = predict(load(tmp_path / "run"), toy / "images", tmp_path / "more", flip=True, probabilities=True)
    with np.load(again / "probabilities" / "val0.npz") as archive:
        assert archive["probabilities"].shape == (3, 48, 64)


def test_an_interrupted_training_goes_on(toy: Path, tmp_path: Path) -> None:
    def stop(moment: Any) -> None:
        if moment.entry.step == 2:
            os.kill(os.getpid(), signal.SIGINT)  # as Ctrl-C does

    trained(toy, tmp_path / "whole", iterations=4)
    with pytest.raises(KeyboardInterrupt):
        trained(toy, tmp_path / "run", iterations=4, report=stop)
    with pytest.raises(SegevalError, match="was trained with another seed"):
        trained(toy, tmp_path / "run", iterations=4, seed=1, resume=True)
    trained(toy, tmp_path / "run", iterations=4, resume=True)
    assert [e.loss for e in read_history(tmp_path / "run")] == [e.loss for e in read_history(tmp_path / "whole")]
    with pytest.raises(SegevalError, match=r"holds no last\.pt"):
        trained(toy, tmp_path / "none", resume=True)


def test_detectors_give_what_is_scored(tmp_path: Path) -> None:
    toys = write_toys(tmp_path / "toys")
    settings = {"iterations": 1, "validations": 0, "recipe": {"batch": 2}, "options": SMALL_DETECTOR, "device": "cpu"}
    checkpoint = train("mask_rcnn", f"coco:{toys}", tmp_path / "run", **settings)
    truth = toys / "annotations" / "instances_val.json"
    found = predict(checkpoint, toys / "images" / "val", tmp_path / "out", image_ids=truth)
    assert found == tmp_path / "out" / "results.json"
    assert segeval.score(found, truth, task="instance").images == 3


def test_epochs_and_minutes_are_budgets(toy: Path, tmp_path: Path) -> None:
    assert trained(toy, tmp_path / "a", iterations=None, epochs=1.0).notes["steps"] == 3  # six images, two a step
    assert trained(toy, tmp_path / "b", iterations=None, minutes=1e-4).notes["steps"] >= 1
    assert trained(toy, tmp_path / "c", iterations=None, recipe={"batch": 3, "epochs": 2}).notes["steps"] == 4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 1}, "one budget; give iterations, minutes or epochs"),
        ({"recipe": {"batches": 2}}, r"a recipe has no 'batches'; did you mean batch\?"),
        ({"recipe": {"rate": 0.0}}, "rate 0.0 makes no sense"),
        ({"preset": "huge"}, "unet has no preset 'huge'"),
        ({"device": "tpu9"}, "is no device"),
    ],
)
def test_what_training_is_asked_wrongly_is_said(
    toy: Path, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(SegevalError, match=message):
        trained(toy, tmp_path / "run", **changes)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("name", "choices", "message"),
    [
        ("mask_rcnn-demo", {"flip": True}, "mask_rcnn is a detector: --probabilities, .* aren't for it"),
        ("mask_rcnn-demo", {"overlap": 0.5}, "mask_rcnn is a detector"),
        ("mask_rcnn-demo", {"instances": "watershed"}, "mask_rcnn is a detector"),
        ("panoptic_fpn-demo", {"probabilities": True}, "panoptic_fpn is a detector"),
        ("unet-demo", {"probabilities": True, "instances": "watershed"}, "without --instances"),
        ("unet-demo", {"instances": "watershed"}, "was not trained to separate objects"),
        ("unet-demo", {"image_ids": "ids.json"}, "label maps go by their names"),
        ("unet-demo", {"scales": [0]}, "make no sense"),
        ("vgg-demo", {}, "no such checkpoint"),
    ],
)
def test_what_a_network_cannot_do_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, choices: dict[str, Any], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ids.json").write_text('{"images": [{"file_name": "a.png", "id": 1}]}')
    (tmp_path / "images").mkdir()
    Image.new("RGB", (32, 32)).save(tmp_path / "images" / "a.png")
    with pytest.raises(SegevalError, match=message):
        predict(name, "images", "out", **choices)
    assert not (tmp_path / "out").exists()
