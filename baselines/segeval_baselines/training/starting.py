"""Training by one call."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from segeval.errors import SegevalError
from segeval_baselines.checkpoints.checkpoint import Checkpoint
from segeval_baselines.recipes import Recipe
from segeval_baselines.training.jobs import Budget, Job
from segeval_baselines.training.loop import run_job
from segeval_baselines.training.opening import training_images
from segeval_baselines.training.state import ReportProgress
from segeval_baselines.zoo import preset_of


def train(
    model: str,
    data: str,
    out: str | Path,
    *,
    preset: str = "tiny",
    options: Mapping[str, Any] | None = None,
    recipe: Mapping[str, Any] | None = None,
    iterations: int | None = None,
    minutes: float | None = None,
    epochs: float | None = None,
    classes: str | None = None,
    weights: str | Path | None = None,
    seed: int = 0,
    validations: int = 4,
    validation_images: int | None = None,
    device: str = "auto",
    amp: bool = False,
    channels_last: bool = False,
    threads: int = 0,
    resume: bool = False,
    report: ReportProgress | None = None,
    announce: Callable[[str], object] | None = None,
) -> Checkpoint:
    """Train a baseline network.

    Parameters
    ----------
    model, preset
        A key of `MODELS` and of its presets.
    data, classes
        What it is trained on, as ``segeval train --data`` takes it, and a file of classes that replaces the data's own.
    out
        Folder of ``last.pt``, ``best.pt`` (best validation mIoU, AP or PQ), ``history.csv``, ``curve.png`` and
        ``job.json``.
    options, recipe
        Options of the network and fields of `segeval_baselines.recipes.Recipe` with other values than the preset's.
    iterations, minutes, epochs
        The budget, one of them: steps; minutes of the process's CPU time, or of the GPU's clock; passes over the
        training images. The recipe's epochs if none is given.
    weights
        A file of published weights to start from.
    seed
        Of everything random.
    validations, validation_images
        How often the validation split is scored, evenly over the budget, and on how many of its images at most.
    device, amp, channels_last, threads
        ``auto``, ``cpu`` or ``cuda``; bfloat16 where it is safe; the memory layout that GPUs like; threads that prepare
        batches.
    resume
        Go on from ``last.pt`` of the same training.
    report
        Called with what is known at each entry of the history.
    announce
        Called with what became of the published weights, as a table.

    Returns
    -------
    checkpoint
        The best one.

    Raises
    ------
    SegevalError
        For a name that is unknown, wrong data, more than one budget, a loss that is no number, or lack of memory; the
        message says what to turn.
    KeyboardInterrupt
        After the step in progress was finished and saved.

    Examples
    --------
    >>> from segeval_baselines import train
    >>> checkpoint = train("unet", "scenes:4", "runs/unet", preset="demo", iterations=2, validations=0)
    >>> checkpoint.notes["steps"]
    2
    """
    changes = {**(recipe or {}), **({} if epochs is None else {"epochs": epochs})}
    chosen = preset_of(model, preset).recipe.changed(changes)
    if sum(given is not None for given in (iterations, minutes, epochs)) > 1:
        raise SegevalError("a training has one budget", remedy="give iterations, minutes or epochs")
    job = Job(
        model,
        data,
        chosen,
        _budget(model, data, classes, chosen, iterations, minutes),
        preset=preset,
        options=dict(options or {}),
        classes=classes,
        seed=seed,
        validations=validations,
        validation_images=validation_images,
        weights=None if weights is None else str(weights),
        device=device,
        amp=amp,
        channels_last=channels_last,
        threads=threads,
    )
    return run_job(job, out, resume=resume, report=report, announce=announce)


def _budget(
    model: str, data: str, classes: str | None, recipe: Recipe, iterations: int | None, minutes: float | None
) -> Budget:
    if minutes is not None:
        return Budget(seconds=60 * minutes)
    if iterations is None:
        iterations = math.ceil(recipe.epochs * training_images(model, data, classes) / recipe.batch)
    return Budget(iterations=iterations)
