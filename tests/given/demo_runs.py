"""Runs on a small demo, shared by the tests of reports."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

from segeval.results.result import Result
from segeval.scenes.demo import write_demo
from segeval.scenes.models import MODELS
from segeval.scoring.evaluation import score

FORMS = {"semantic": "semantic", "panoptic": "panoptic.json", "instance": "instances.json"}


@functools.cache
def demo_folder() -> Path:
    """Six scenes, their truth and two models' predictions."""
    return write_demo(Path(tempfile.mkdtemp(prefix="segeval-demo-")) / "demo", 6, height=96, width=128)


@functools.cache
def demo_run(task: str, model: str = "", *, diagnose: bool = True) -> Result:
    """One model's run on the demo."""
    folder = demo_folder()
    name = model or next(iter(MODELS))
    classes = folder / "truth" / "classes.json" if task == "semantic" else None
    paths = folder / name / FORMS[task], folder / "truth" / FORMS[task]
    return score(*paths, task=task, classes=classes, workers=1, diagnose=diagnose)


def demo_pair(task: str) -> dict[str, Result]:
    """Both models' runs by name."""
    return {model: demo_run(task, model) for model in MODELS}
