"""What changes while training, what is told about it, and what may stop it."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from segeval_baselines.training.history import HistoryEntry, to_rows


@dataclass(frozen=True)
class Moment:
    """What a report of progress says: the latest entry, the fraction spent, and the seconds left on the wall."""

    entry: HistoryEntry
    fraction: float
    left: float


ReportProgress = Callable[[Moment], object]


@dataclass
class State:
    """What changes while training; `saved` is what a checkpoint keeps of it beside the weights."""

    step: int = 0
    spent: float = 0.0
    losses: float = 0.0
    counted: int = 0
    best: float = -1.0
    history: list[HistoryEntry] = field(default_factory=list)

    def saved(self) -> dict[str, Any]:
        """Plain values."""
        counters = {"step": self.step, "spent": self.spent, "losses": self.losses, "counted": self.counted}
        return {**counters, "best": self.best, "history": to_rows(self.history)}

    @classmethod
    def restored(cls, data: dict[str, Any]) -> State:
        """The reverse of `saved`."""
        history = [HistoryEntry(*row) for row in data["history"]]
        return cls(data["step"], data["spent"], data["losses"], data["counted"], data["best"], history)


@contextmanager
def interruptions() -> Iterator[list[int]]:
    """Collect Ctrl-C and termination instead of acting on them at once; a second one acts at once."""
    caught: list[int] = []

    def note(number: int, _: object) -> None:
        if caught:
            raise KeyboardInterrupt
        caught.append(number)

    try:
        before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not the main thread: signals are someone else's
        before = {}
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
