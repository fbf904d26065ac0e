"""What a suite says: data sets, members, budgets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from segeval.errors import SegevalError, nearest
from segeval_baselines.prediction.references import reference
from segeval_baselines.recipes import Recipe
from segeval_baselines.training.jobs import Budget, Job
from segeval_baselines.zoo import architecture, preset_of


@dataclass(frozen=True)
class DataSet:
    """A data set of a suite.

    Parameters
    ----------
    name
        What members call it.
    spec
        What ``segeval train --data`` takes; ``${NAME}`` stands for a path that is given when the suite runs.
    score
        The split that is scored: ``test`` or ``val``. Networks train on ``train`` and are validated on ``val``.
    classes
        Replaces the data set's own list of classes.
    """

    name: str
    spec: str
    score: str = "test"
    classes: str | None = None


@dataclass(frozen=True)
class Member:
    """A network or a reference of a suite, trained once for each seed.

    Parameters
    ----------
    name
        Of its row and its folder.
    data
        The name of a data set.
    model, preset, options
        What is trained; `options` replace the preset's.
    instances
        ``components`` or ``watershed``: how a semantic network's regions are cut into instances, which then are scored.
    reference
        In place of a model: a predictor without a network.
    recipe
        Fields of the preset's recipe with other values.
    iterations
        The budget of one training.
    seeds
        One training each; the first one's images are what significance is tested on.
    validations, validation_images
        How often, and on how many images, the best weights are chosen.
    seconds
        About how many CPU seconds one training takes, for the plan.
    note
        Printed below the table, with a dagger at the member's name.
    weights
        A file of published weights to start from.
    amp
        Train in bfloat16 where it is safe.
    """

    name: str
    data: str
    model: str = ""
    preset: str = "tiny"
    options: Mapping[str, Any] = field(default_factory=dict)
    instances: str = ""
    reference: str = ""
    recipe: Mapping[str, Any] = field(default_factory=dict)
    iterations: int = 0
    seeds: tuple[int, ...] = (0,)
    validations: int = 2
    validation_images: int | None = None
    seconds: float = 0.0
    note: str = ""
    weights: str | None = None
    amp: bool = False

    @property
    def task(self) -> str:
        """Which score it gets."""
        if self.instances:
            return "instance"
        return architecture(self.model).task if self.model else reference(self.reference).task

    def whole_recipe(self) -> Recipe:
        """The preset's recipe with this member's changes."""
        return preset_of(self.model, self.preset).recipe.changed(self.recipe)

    def job(self, data: DataSet, seed: int, device: str) -> Job:
        """What one training is asked."""
        return Job(
            self.model,
            data.spec,
            self.whole_recipe(),
            Budget(iterations=self.iterations),
            preset=self.preset,
            options=self.options,
            classes=data.classes,
            seed=seed,
            validations=self.validations,
            validation_images=self.validation_images,
            weights=self.weights,
            device=device,
            amp=self.amp,
        )


@dataclass(frozen=True)
class Suite:
    """A suite, with all its places filled; `any_version` takes what another version of segeval made for done."""

    name: str
    title: str
    about: str
    data: Mapping[str, DataSet]
    members: tuple[Member, ...]
    any_version: bool = False

    def member(self, name: str) -> Member:
        """A member by name; ``SegevalError`` for one that is not there."""
        for member in self.members:
            if member.name == name:
                return member
        raise SegevalError(f"{self.name} has no member {name!r}", remedy=nearest(name, (m.name for m in self.members)))

    def tasks_on(self, data: DataSet) -> set[str]:
        """The tasks of the members that are scored on a data set."""
        return {m.task for m in self.members if m.data == data.name}

    def data_of(self, member: Member) -> DataSet:
        """What a member is trained and scored on."""
        return self.data[member.data]
