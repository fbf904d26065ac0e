"""The training loop: steps until the budget is spent, validation and checkpoints on the way."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from segeval.errors import SegevalError
from segeval.storage.files import write_atomic
from segeval_baselines.checkpoints.checkpoint import Checkpoint, load_checkpoint
from segeval_baselines.checkpoints.weights import IMAGENET, LoadReport, load_weights
from segeval_baselines.group import Group, joined
from segeval_baselines.prediction.inference import normalise
from segeval_baselines.training.history import HistoryEntry, TensorBoard, write_history
from segeval_baselines.training.jobs import Job
from segeval_baselines.training.opening import open_course
from segeval_baselines.training.optimisers import Average, make_optimiser, set_rate
from segeval_baselines.training.state import Moment, ReportProgress, State, interruptions
from segeval_baselines.zoo import build

ENTRIES = 50
"""History entries of a training."""


def run_job(
    job: Job,
    out: str | Path,
    *,
    resume: bool = False,
    report: ReportProgress | None = None,
    announce: Callable[[str], object] | None = None,
) -> Checkpoint:
    """Train a network as a job says.

    Parameters
    ----------
    job
        What is asked.
    out
        Folder of ``last.pt`` (with what resuming needs), ``best.pt`` (best validation mIoU, AP or PQ), ``history.csv``,
        ``curve.png`` and ``job.json``.
    resume
        Go on from ``last.pt``.
    report
        Called at every history entry.
    announce
        Called with what became of the published weights, as a table.

    Returns
    -------
    checkpoint
        The best one.

    Raises
    ------
    SegevalError
        For wrong data, a loss that is no number, or lack of memory; the message says what to turn.
    KeyboardInterrupt
        After the step in progress was finished and saved.
    """
    with joined(job.device) as group:
        folder = Path(out)
        if resume and not (folder / "last.pt").is_file():
            raise SegevalError("holds no last.pt", file=folder, remedy="train without --resume")
        if group.leads and not resume:
            write_atomic(folder / "job.json", job.to_json())
            for name in ("last.pt", "best.pt"):
                (folder / name).unlink(missing_ok=True)
        loop = _Loop(job, folder, group, resume)
        if loop.loaded and announce and group.leads:
            announce(loop.loaded.table())
        try:
            loop.run(report)
        except RuntimeError as error:
            if isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error):
                size = "x".join(map(str, loop.stream.target))
                raise SegevalError(
                    f"out of memory with {job.recipe.batch} crops of {size} a step",
                    remedy="lower --batch or --crop, or give --amp",
                ) from None
            raise
        except ValueError as error:
            if "more than 1 value per channel" in str(error):
                raise SegevalError("batch normalisation needs more than one image", remedy="give --batch 2") from None
            raise
        return load_checkpoint(folder)


class _Loop:
    """One training in one process."""

    def __init__(self, job: Job, folder: Path, group: Group, resume: bool) -> None:
        self.job, self.folder, self.group = job, folder, group
        self.course = open_course(job, group.device)
        torch.manual_seed(job.seed)
        network = build(job.model, self.course.taxonomy, job.preset, job.options)
        self.loaded: LoadReport | None = None
        if job.weights is not None and not resume:
            self.loaded = load_weights(network, Path(job.weights))
        self.state = State()
        saved = None
        if resume:
            checkpoint = load_checkpoint(folder / "last.pt")
            saved = checkpoint.training
            _require_same(job, saved["job"], folder)
            network.load_state_dict(saved["raw"])
            self.colours = checkpoint.mean, checkpoint.std
            self.state = State.restored(saved["state"])
        else:
            self.colours = self.course.colours() if job.weights is None else IMAGENET
        if group.size > 1 and group.device.type == "cuda":
            network = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
        layout = torch.channels_last if job.channels_last else torch.contiguous_format
        self.network = network.to(group.device, memory_format=layout)  # type: ignore[call-overload]
        self.layout = layout
        self.average = Average(self.network, job.recipe.ema)
        self.optimiser = make_optimiser(self.network, job.recipe)
        if saved is not None:
            self.optimiser.load_state_dict(saved["optimiser"])
            self.average.restore(saved["average"])
        self.stream = self.course.stream(self.network, group)

    def run(self, report: ReportProgress | None) -> None:
        job, state, group = self.job, self.state, self.group
        module: nn.Module = self.network
        if group.size > 1:
            devices = [group.device.index] if group.device.type == "cuda" else None
            module = DistributedDataParallel(self.network, device_ids=devices)
        clock = time.process_time if group.device.type == "cpu" else time.perf_counter
        board = TensorBoard(self.folder) if group.leads else None
        batches = self.stream.batches(state.step, job.threads)
        began, before = time.monotonic(), self._fraction()
        with interruptions() as interrupted:
            fraction = before
            while fraction < 1.0:
                start = clock()
                self._step(module, next(batches), fraction)
                state.spent = group.largest(state.spent + clock() - start)
                earlier, fraction = fraction, self._fraction()
                stop = group.any(bool(interrupted))
                due = stop or _crossed(earlier, fraction, job.validations)
                if due or _crossed(earlier, fraction, ENTRIES):
                    entry = self._entry(validated=due and not stop and self.course.validates)
                    if board:
                        board.add(entry)
                    if report and group.leads:
                        done = max(fraction - before, 1e-9)
                        left = (time.monotonic() - began) * (1 - fraction) / done
                        report(Moment(entry, fraction, left))
                if (due or fraction >= 1.0) and group.leads:
                    self._save(state.history[-1])
                if stop:
                    raise KeyboardInterrupt
        if board:
            board.close()
        group.any(False)  # nobody reads the checkpoint before it is written

    def _fraction(self) -> float:
        return self.job.budget.fraction(self.state.step, self.state.spent)

    def _step(self, module: nn.Module, batch: Any, fraction: float) -> None:
        job, state, device = self.job, self.state, self.group.device
        # Dropout and the choice of regions draw from a stream of its own in every step: resuming needs no generator's
        # state.
        drawn = np.random.SeedSequence((job.seed, 3, state.step, self.group.rank)).generate_state(1)
        torch.manual_seed(int(drawn[0]))
        module.train()
        images = normalise(batch.images.to(device, non_blocking=True), *self.colours)
        images = images.contiguous(memory_format=self.layout)
        with torch.autocast(device.type, torch.bfloat16, enabled=job.amp):
            output = module(images, *self.course.inputs(batch, device))
        loss = self.course.loss(output, batch, device)
        value = float(loss.item())
        if self.group.any(not math.isfinite(value)):
            raise SegevalError(f"the loss is {value} at step {state.step + 1}", remedy=self._last_good())
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        if job.recipe.clip is not None:
            nn.utils.clip_grad_norm_(self.network.parameters(), job.recipe.clip)
        set_rate(self.optimiser, job.recipe.rate * job.recipe.factor(fraction))
        self.optimiser.step()
        self.average.update(self.network)
        state.step += 1
        state.losses += value
        state.counted += 1

    def _last_good(self) -> str:
        path = self.folder / "last.pt"
        where = f"the last good checkpoint is {path}" if path.is_file() else "no checkpoint was saved yet"
        return f"{where}; lower --rate or give --clip"

    def _entry(self, *, validated: bool) -> HistoryEntry:
        state = self.state
        figures: Mapping[str, float] = {}
        if validated:
            self.group.align(self.average.network)
            figures = self.course.validate(self.average.network.eval(), self.colours, self.group)
        rate = float(self.optimiser.param_groups[0]["lr"])
        loss = state.losses / max(state.counted, 1)
        entry = HistoryEntry(state.step, round(state.spent, 3), loss, rate, **figures)
        state.losses, state.counted = 0.0, 0
        state.history.append(entry)
        return entry

    def _save(self, entry: HistoryEntry) -> None:
        job, state = self.job, self.state
        found = entry.score()
        score = -1.0 if found is None or math.isnan(found[1]) else found[1]
        improved = (found is None and not self.course.validates) or score > state.best
        state.best = max(state.best, score)
        notes = {"data": job.data, "seed": job.seed, "steps": state.step, "seconds": round(state.spent, 1)}
        if found is not None:
            notes[f"validation {found[0]}"] = found[1]
        training = {
            "state": state.saved(),
            "raw": _on_cpu(self.network.state_dict()),
            "optimiser": self.optimiser.state_dict(),
            "average": self.average.saved(),
            "job": job.to_json(),
        }
        weights = _on_cpu(self.average.network.state_dict())
        taxonomy, recipe = self.course.taxonomy, job.recipe
        parts = (job.model, job.preset, dict(job.options), taxonomy, *self.colours, recipe, weights)
        Checkpoint(*parts, training=training, notes=notes).save(self.folder / "last.pt")
        if improved:
            Checkpoint(*parts, notes=notes).save(self.folder / "best.pt")
        write_history(self.folder, state.history)


def _on_cpu(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu() for name, tensor in weights.items()}


def _crossed(before: float, now: float, parts: int) -> bool:
    return parts > 0 and math.floor(before * parts + 1e-9) < math.floor(now * parts + 1e-9)


def _require_same(job: Job, saved: str, folder: Path) -> None:
    import json

    now, then = json.loads(job.to_json()), json.loads(saved)
    for name in ("model", "preset", "options", "data", "recipe", "budget", "seed"):
        if now[name] != then[name]:
            raise SegevalError(
                f"was trained with another {name}",
                file=folder / "last.pt",
                remedy="resume with the same one, or start anew",
            )
