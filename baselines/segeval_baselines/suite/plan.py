"""What a suite has to do: which steps are up to date, and about how long the others take."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from segeval_baselines.suite.form import Member, Suite
from segeval_baselines.suite.members import runs_of
from segeval_baselines.suite.runs import Run

FRESH, RESUMES, TODO = "up to date", "goes on", "to do"

# Seconds of predicting and scoring beside a training whose steps were never measured.
_BESIDE = 60.0


@dataclass(frozen=True)
class Plan:
    """One member's run with one seed.

    Attributes
    ----------
    member, seed
        Which.
    steps
        Each step's state, by name: ``up to date``, ``goes on`` or ``to do``.
    seconds
        About how much CPU time is left: as measured in earlier runs where there are some, else as the suite says.
    measured
        Whether it was measured.
    """

    member: Member
    seed: int
    steps: dict[str, str]
    seconds: float
    measured: bool

    @property
    def due(self) -> bool:
        """Whether anything is left to do."""
        return any(state != FRESH for state in self.steps.values())


def plan_of(suite: Suite, root: Path) -> list[Plan]:
    """The plan of each member and seed, in the order of the suite."""
    return [plan for member in suite.members for plan in _of_member(suite, member, root)]


def _of_member(suite: Suite, member: Member, root: Path) -> list[Plan]:
    runs = runs_of(suite, member, root)
    known = [costs for run in runs if (costs := _measured(run)) is not None]
    plans = []
    for run in runs:
        states = _states(run)
        left = [name for name, state in states.items() if state != FRESH]
        if known:
            seconds = sum(max(costs.get(name, 0.0) for costs in known) for name in left)
        else:
            seconds = (member.seconds if "train" in left else 0.0) + (_BESIDE if left else 0.0)
        plans.append(Plan(member, run.seed, states, seconds, bool(known)))
    return plans


def _states(run: Run) -> dict[str, str]:
    records = run.ledger.read()
    states: dict[str, str] = {}
    for step in run.steps(records):
        record = records.get(step.name)
        if any(state != FRESH for state in states.values()):
            states[step.name] = TODO
        else:
            states[step.name] = FRESH if step.fresh(record) else RESUMES if step.begun(record) else TODO
    return states


def _measured(run: Run) -> dict[str, float] | None:
    """CPU seconds of each step, if all of them were ever done."""
    records = run.ledger.read()
    steps = [step.name for step in run.steps(records)]
    if not all(name in records and records[name].done for name in steps):
        return None
    return {name: float(records[name].costs.get("cpu_seconds", 0.0)) for name in steps}
