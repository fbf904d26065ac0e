"""What a training leaves behind beside its checkpoints: a CSV, a picture of the curves, TensorBoard if installed."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from segeval.errors import SegevalError
from segeval.metrics.tasks import TASKS
from segeval.storage.files import write_atomic


@dataclass(frozen=True)
class HistoryEntry:
    """One moment of a training.

    Attributes
    ----------
    step
        Steps taken.
    spent
        Seconds of the training's clock: process CPU time, or wall time on a GPU; without validation.
    loss
        Mean over the steps since the entry before.
    rate
        Learning rate.
    mIoU, aAcc, AP, AP50, PQ, SQ, RQ
        Of the validation split, those of the task; None between validations.
    """

    step: int
    spent: float
    loss: float
    rate: float
    mIoU: float | None = None  # noqa: N815 - the field's own spelling
    aAcc: float | None = None  # noqa: N815
    AP: float | None = None
    AP50: float | None = None
    PQ: float | None = None
    SQ: float | None = None
    RQ: float | None = None

    def score(self) -> tuple[str, float] | None:
        """Name and value of the figure that decides which checkpoint is best; None between validations."""
        for name in HEADLINES:
            value = getattr(self, name)
            if value is not None:
                return name, float(value)
        return None


HEADLINES = tuple(rule.headline for rule in TASKS.values())
"""What a validation is judged by, of each task."""

_FIGURES = tuple(f.name for f in fields(HistoryEntry) if f.default is None)


def to_rows(history: Sequence[HistoryEntry]) -> list[list[Any]]:
    """Plain values, for checkpoints."""
    return [list(astuple(entry)) for entry in history]


def write_history(folder: Path, history: Sequence[HistoryEntry]) -> None:
    """Write ``history.csv`` and ``curve.png``."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    known = [name for name in _FIGURES if any(getattr(entry, name) is not None for entry in history)]
    names = ["step", "spent", "loss", "rate", *known]
    writer.writerow(names)
    writer.writerows([_text(getattr(entry, name)) for name in names] for entry in history)
    write_atomic(folder / "history.csv", text.getvalue())
    picture = curve(history)
    write_atomic(folder / "curve.png", lambda stream: picture.save(stream, format="png"))


def _text(value: float | None) -> Any:
    return "" if value is None else value


def read_history(folder: Path) -> list[HistoryEntry]:
    """Read ``history.csv`` again.

    Raises
    ------
    SegevalError
        If it is absent or damaged.
    """
    path = folder / "history.csv"
    try:
        rows = list(csv.DictReader(path.read_text().splitlines()))
        return [
            HistoryEntry(
                int(r["step"]),
                *(float(r[name]) for name in ("spent", "loss", "rate")),
                **{name: float(r[name]) for name in _FIGURES if r.get(name)},
            )
            for r in rows
        ]
    except (OSError, KeyError, ValueError, TypeError):
        raise SegevalError("is no history of a training", file=path, remedy="train first") from None


_SIZE, _MARGIN = (720, 360), 48
_LOSS, _SCORE, _INK = (31, 119, 180), (214, 90, 20), (70, 70, 70)


def curve(history: Sequence[HistoryEntry]) -> Image.Image:
    """Loss (left axis) and what validation is judged by (right axis, 0 to 1) over steps."""
    image = Image.new("RGB", _SIZE, "white")
    draw = ImageDraw.Draw(image)
    left, top, right, bottom = _MARGIN, _MARGIN // 2, _SIZE[0] - _MARGIN, _SIZE[1] - _MARGIN
    draw.rectangle((left, top, right, bottom), outline=_INK)
    last = max((e.step for e in history), default=1) or 1
    most = max((e.loss for e in history), default=1.0) or 1.0

    def x(step: int) -> float:
        return left + (right - left) * step / last

    def y(share: float) -> float:
        return bottom - (bottom - top) * min(max(share, 0.0), 1.0)

    for quarter in range(5):
        height = y(quarter / 4)
        draw.line((left, height, right, height), fill=(225, 225, 225))
        draw.text((4, height - 6), f"{most * quarter / 4:.2f}", fill=_LOSS)
        draw.text((right + 6, height - 6), f"{quarter / 4:.2f}", fill=_SCORE)
    losses = [(x(e.step), y(e.loss / most)) for e in history]
    judged = [(e.step, *found) for e in history if (found := e.score()) is not None]
    scores = [(x(step), y(value)) for step, _, value in judged]
    if len(losses) > 1:
        draw.line(losses, fill=_LOSS, width=2)
    if len(scores) > 1:
        draw.line(scores, fill=_SCORE, width=2)
    for px, py in scores:
        draw.ellipse((px - 3, py - 3, px + 3, py + 3), fill=_SCORE)
    draw.text((left, bottom + 8), "0", fill=_INK)
    draw.text((right - 60, bottom + 8), f"{last} steps", fill=_INK)
    draw.text((left + 8, 6), "loss", fill=_LOSS)
    draw.text((left + 48, 6), f"validation {judged[0][1] if judged else ''}", fill=_SCORE)
    return image


class TensorBoard:
    """TensorBoard's writer where it is installed, else nothing."""

    def __init__(self, folder: Path) -> None:
        self._writer: Any = None
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            return
        self._writer = SummaryWriter(str(folder / "tensorboard"))

    def add(self, entry: HistoryEntry) -> None:
        """Write an entry's figures."""
        if self._writer is None:
            return
        for name in ("loss", "rate", *_FIGURES):
            value = getattr(entry, name)
            if value is not None:
                self._writer.add_scalar(name, value, entry.step)

    def close(self) -> None:
        """Flush."""
        if self._writer is not None:
            self._writer.close()
