"""One member with one seed: train, predict, score, each only where its inputs have changed."""

from __future__ import annotations

import hashlib
import platform
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch

from segeval.comparison.runs import RECORD, load_run
from segeval.errors import SegevalError
from segeval.results.result import Result
from segeval_baselines.checkpoints.checkpoint import load_checkpoint
from segeval_baselines.group import device_of
from segeval_baselines.prediction.outputs import fingerprint as fingerprint_of_weights
from segeval_baselines.recipes import Recipe
from segeval_baselines.suite.form import Member
from segeval_baselines.suite.kinds import LEAST_SCORE, Splits, scored_by
from segeval_baselines.suite.ledger import Ledger, Step, StepRecord, digest_of_files
from segeval_baselines.training.history import read_history
from segeval_baselines.training.jobs import Job
from segeval_baselines.training.loop import run_job
from segeval_baselines.zoo import preset_of

Say = Callable[[str], object]

BEST = "best.pt"


@dataclass(frozen=True)
class Run:
    """One member with one seed.

    Parameters
    ----------
    member, seed
        Whose.
    splits
        Of its data.
    root
        The suite's folder.
    device
        Where it trains and predicts; no part of any hash.
    label_maps
        The same data as label maps, where a detector is to meet semantic networks; its predictions are converted.
    any_version
        Whether steps that another version of segeval made are up to date.
    """

    member: Member
    seed: int
    splits: Splits
    root: Path
    device: str = "auto"
    label_maps: Splits | None = None
    any_version: bool = False

    @property
    def folder(self) -> Path:
        """Where all of it lies."""
        return self.root / "members" / self.member.name / f"seed{self.seed}"

    @property
    def training(self) -> Path:
        """Checkpoints and curves."""
        return self.folder / "training"

    @property
    def predictions(self) -> Path:
        """What was predicted."""
        return self.folder / "predictions"

    @property
    def scored(self) -> Path:
        """The saved run of ``segeval score``."""
        return self.folder / "score"

    @property
    def converted(self) -> Path:
        """The predictions as label maps, and their score, where a detector meets semantic networks."""
        return self.folder / "semantic"

    @property
    def ledger(self) -> Ledger:
        """What was done."""
        return Ledger(self.folder)

    @property
    def job(self) -> Job:
        """Its training."""
        return self.member.job(self.splits.data, self.seed, self.device)

    def steps(self, records: Mapping[str, StepRecord]) -> list[Step]:
        """The steps in order, with their inputs as far as they are known from the records of the steps before."""
        made = records.get("predict")
        output = made.output if made else ""
        steps = [] if self.member.reference else [self._train_step(records.get("train"))]
        steps.append(self._predict_step(records.get("train")))
        scoring = {"predictions": output, "task": self.member.task, "truth": self.splits.fingerprint()}
        steps.append(Step("score", scoring, (self.scored / RECORD).is_file, self._score))
        if self.label_maps is not None:
            meeting = {"predictions": output, "least score": LEAST_SCORE, "truth": self.label_maps.fingerprint()}
            steps.append(Step("convert", meeting, (self.converted / "score" / RECORD).is_file, self._convert))
        return [replace(step, any_version=self.any_version) for step in steps]

    # ---- train -----------------------------------------------------------------------------------------------

    def _training_inputs(self) -> dict[str, Any]:
        job = self.job
        options = {**preset_of(job.model, job.preset).options, **job.options}
        plain = Recipe()
        # Only what differs from the defaults: a field that a later version adds changes no hash.
        recipe = {f.name: getattr(job.recipe, f.name) for f in fields(Recipe)}
        recipe = {name: value for name, value in recipe.items() if value != getattr(plain, name)}
        inputs = {
            "model": job.model,
            "preset": job.preset,
            "options": options,
            "recipe": recipe,
            "iterations": job.budget.iterations,
            "seed": job.seed,
            "validations": [job.validations, job.validation_images],
            "data": self.splits.fingerprint("train"),
        }
        if job.validations:
            inputs["validation data"] = self.splits.fingerprint("val")
        if job.amp:
            inputs["amp"] = True
        if job.weights:
            inputs["weights"] = _digest_of_file(Path(job.weights))
        return inputs

    def _train_step(self, record: StepRecord | None) -> Step:
        checkpoint = self.training / str(record.costs.get("checkpoint") if record else BEST)
        return Step("train", self._training_inputs(), checkpoint.is_file, self._train)

    def _train(self, resume: bool) -> tuple[str, dict[str, Any]]:
        resume = resume and (self.training / "last.pt").is_file() and self._same_job()
        if not resume:
            shutil.rmtree(self.training, ignore_errors=True)
        checkpoint = run_job(self.job, self.training, resume=resume)
        notes = {name: value for name, value in checkpoint.notes.items() if name.startswith("validation ")}
        last = read_history(self.training)[-1]
        costs = {"iterations": last.step, "seconds": last.spent, "peak_mib": _peak_mib(), **notes}
        costs |= {"device": device_name(self.device), "torch": torch.__version__, "threads": torch.get_num_threads()}
        # A training whose validations all gave 0 leaves no best weights.
        costs["checkpoint"] = BEST if (self.training / BEST).is_file() else "last.pt"
        return fingerprint_of_weights(checkpoint), costs

    def _same_job(self) -> bool:
        try:
            before = Job.from_json(self.training / "job.json")
        except SegevalError:
            return False
        return asdict(before.changed(device=self.device)) == asdict(self.job)

    # ---- predict ---------------------------------------------------------------------------------------------

    def _predict_step(self, trained: StepRecord | None) -> Step:
        inputs = {"images": self.splits.fingerprint()}
        if self.member.reference:
            inputs |= {"reference": self.member.reference, "data": self.splits.fingerprint("train")}
        else:
            inputs["weights"] = trained.output if trained else ""
            inputs |= {"instances": self.member.instances} if self.member.instances else {}
        return Step("predict", inputs, self._predicted, self._predict)

    def _predicted(self) -> bool:
        return self.splits.kind.is_predicted(self.splits.scored, self.predictions)

    def _predict(self, resume: bool) -> tuple[str, dict[str, Any]]:
        kind, scored = self.splits.kind, self.splits.scored
        if not resume:
            shutil.rmtree(self.predictions, ignore_errors=True)
        if self.member.reference:
            kind.refer(self.member.reference, self.splits.data, scored, self.predictions)
        else:
            device = device_of(self.device)
            checkpoint = load_checkpoint(self.training, device)
            kind.predict(checkpoint, scored, self.predictions, str(device), self.member.instances)
        return digest_of_files(self.predictions), {}

    # ---- score -----------------------------------------------------------------------------------------------

    def _score(self, resume: bool) -> tuple[str, dict[str, Any]]:
        shutil.rmtree(self.scored, ignore_errors=True)
        kind, scored = self.splits.kind, self.splits.scored
        prediction = kind.prediction(self.predictions)
        scored_by(self.member.task, prediction, scored.truth, **kind.options(scored)).save(self.scored)
        return "", {}

    def _convert(self, resume: bool) -> tuple[str, dict[str, Any]]:
        kind, common = self.splits.kind, self.label_maps
        assert kind.label_maps is not None
        assert common is not None
        shutil.rmtree(self.converted, ignore_errors=True)
        maps = self.converted / "predictions"
        kind.label_maps(kind.prediction(self.predictions), maps, self.splits.scored)
        result = scored_by(common.task, maps, common.scored.truth, **common.kind.options(common.scored))
        result.save(self.converted / "score")
        return "", {}

    # ---- all -------------------------------------------------------------------------------------------------

    def ensure(self, say: Say) -> None:
        """Do what isn't done; `say` is told what is being done."""
        for number in range(len(self.steps({}))):
            records = self.ledger.read()
            step = self.steps(records)[number]
            record = records.get(step.name)
            if step.fresh(record):
                say(f"seed {self.seed}: {step.name} is up to date")
                continue
            resume = step.begun(record)
            say(f"seed {self.seed}: {step.name}{' goes on' if resume else ''}")
            self.ledger.write(step.name, StepRecord(step.digest, costs=record.costs if resume and record else {}))
            spent = float(record.costs.get("cpu_seconds", 0.0)) if resume and record else 0.0
            cpu, wall = time.process_time(), time.monotonic()
            output, costs = step.run(resume)
            used = {
                "cpu_seconds": round(spent + time.process_time() - cpu, 2),
                "wall_seconds": round(time.monotonic() - wall, 2),
            }
            self.ledger.write(step.name, StepRecord(step.digest, done=True, output=output, costs={**costs, **used}))

    def result(self) -> Result:
        """The score."""
        return load_run(self.scored)

    def converted_result(self) -> Result | None:
        """The score as label maps, where a detector meets semantic networks."""
        return load_run(self.converted / "score") if self.label_maps is not None else None


def device_name(device: str) -> str:
    """What computes: the GPU's or the processor's name."""
    place = device_of(device)
    if place.type == "cuda":
        return str(torch.cuda.get_device_name(place))
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _digest_of_file(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()[:24]
    except OSError:
        raise SegevalError("no such file", file=path, remedy="give weights the path of a checkpoint") from None


def _peak_mib() -> float | None:
    """The largest resident memory of this process so far, where the system tells it."""
    try:
        import resource
    except ImportError:
        return None
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(largest / 2**20 if sys.platform == "darwin" else largest / 2**10, 1)
