"""What a training is asked to do, as plain data that a folder keeps beside its checkpoints."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from segeval.errors import SegevalError
from segeval_baselines.recipes import Recipe


@dataclass(frozen=True)
class Budget:
    """How long a training lasts; schedules run on the fraction spent.

    Parameters
    ----------
    iterations
        Steps. Such a training is deterministic on a CPU, and resumes exactly.
    seconds
        Seconds of the training's clock: the process's CPU time, or wall time on a GPU. Validation is not charged.
    """

    iterations: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        if (self.iterations is None) == (self.seconds is None):
            raise SegevalError("a training has one budget", remedy="give iterations or minutes")
        if not 0 < (self.iterations or self.seconds or 0) < math.inf:
            raise SegevalError("the budget is empty", remedy="give more than 0 iterations or minutes")

    def fraction(self, step: int, spent: float) -> float:
        """The share that is spent."""
        share = step / self.iterations if self.iterations else spent / (self.seconds or 1.0)
        return min(share, 1.0)


@dataclass(frozen=True)
class Job:
    """A training.

    Parameters
    ----------
    model, preset, options
        What is built (`zoo.build`).
    data, classes
        What it is trained on (`data.splits.open_split`).
    recipe, budget, seed
        How, how long, and from which seed.
    validations
        How often the validation split is scored, evenly over the budget; 0 for never.
    validation_images
        At most this many of it, evenly spaced.
    weights
        A file of published or earlier weights to start from.
    device, amp, channels_last, threads
        Where, in bfloat16 or not, in which memory layout (GPU), and how many threads prepare batches.
    """

    model: str
    data: str
    recipe: Recipe
    budget: Budget
    preset: str = "tiny"
    options: Mapping[str, Any] = field(default_factory=dict)
    classes: str | None = None
    seed: int = 0
    validations: int = 4
    validation_images: int | None = None
    weights: str | None = None
    device: str = "auto"
    amp: bool = False
    channels_last: bool = False
    threads: int = 0

    def __post_init__(self) -> None:
        for name in ("seed", "validations", "threads"):
            if getattr(self, name) < 0:
                raise SegevalError(f"{name} {getattr(self, name)} makes no sense", remedy="give 0 or more")
        if self.validation_images is not None and self.validation_images < 1:
            raise SegevalError("validation without images makes no sense", remedy="give --validations 0")

    def to_json(self) -> str:
        """Text that `from_json` reads."""
        return json.dumps(asdict(self), indent=2) + "\n"

    @classmethod
    def from_json(cls, path: Path) -> Job:
        """Read ``job.json``.

        Raises
        ------
        SegevalError
            If it is absent or damaged.
        """
        try:
            data = json.loads(path.read_text())
            recipe, budget = Recipe.from_dict(data.pop("recipe")), Budget(**data.pop("budget"))
            return cls(recipe=recipe, budget=budget, **data)
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            raise SegevalError("is no training's job", file=path, remedy="train first, without --resume") from None

    def changed(self, **values: Any) -> Job:
        """The same with other values."""
        return replace(self, **values)
