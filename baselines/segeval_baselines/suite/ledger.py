"""What a member's folder says about its steps: from which inputs each was made, and what it cost."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from segeval.errors import SegevalError
from segeval.storage.files import write_atomic
from segeval.version import __version__

NAME = "steps.json"

# Part of every hash: raised when a step begins to make something else of the same inputs.
SCHEMA = 1


@dataclass(frozen=True)
class StepRecord:
    """One step, begun or done.

    Attributes
    ----------
    inputs
        Hash of everything that it is made from.
    segeval
        The version that made it.
    done
        Whether it has ended.
    output
        Hash of what came out, which is among the next step's inputs.
    costs
        Seconds, memory, steps: numbers to print.
    """

    inputs: str
    segeval: str = __version__
    done: bool = False
    output: str = ""
    costs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Ledger:
    """The steps of one folder, in ``steps.json``."""

    folder: Path

    def read(self) -> dict[str, StepRecord]:
        """The records; none if the file is absent or damaged, so that the steps are done again."""
        try:
            content = json.loads((self.folder / NAME).read_text(encoding="utf-8"))
            return {name: StepRecord(**row) for name, row in content["steps"].items()}
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return {}

    def write(self, step: str, record: StepRecord) -> None:
        """Note a step; those after it are forgotten where it has changed."""
        records = {**self.read(), step: record}
        content = {"format": SCHEMA, "steps": {name: asdict(row) for name, row in records.items()}}
        write_atomic(self.folder / NAME, json.dumps(content, indent=1) + "\n")


@dataclass(frozen=True)
class Step:
    """One step of a run.

    Parameters
    ----------
    name
        ``train``, ``predict`` or ``score``.
    inputs
        Plain values that decide what comes out.
    intact
        Whether everything that the step leaves behind is there.
    run
        Does it; given whether an interrupted one of the same inputs may be continued, and returns the output's hash and
        the costs.
    any_version
        Whether what another version of segeval made is as good.
    """

    name: str
    inputs: Mapping[str, Any]
    intact: Callable[[], bool]
    run: Callable[[bool], tuple[str, dict[str, Any]]]
    any_version: bool = False

    @property
    def digest(self) -> str:
        """Hash of the inputs."""
        return digest_of({"step": self.name, "schema": SCHEMA, **self.inputs})

    def fresh(self, record: StepRecord | None) -> bool:
        """Whether the step is done already, by this version and from the same inputs."""
        return record is not None and record.done and self._made(record) and self.intact()

    def begun(self, record: StepRecord | None) -> bool:
        """Whether an interrupted one may be continued."""
        return record is not None and not record.done and self._made(record)

    def _made(self, record: StepRecord) -> bool:
        return record.inputs == self.digest and (self.any_version or record.segeval == __version__)


def digest_of(values: Mapping[str, Any]) -> str:
    """A hash of plain values; the order of keys is no part of it."""
    try:
        text = json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError):
        raise SegevalError("a step depends on values that are not plain", remedy="report this as a defect") from None
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def digest_of_files(folder: Path) -> str:
    """A hash of the names and bytes of all files below a folder."""
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        digest.update(f"{path.relative_to(folder).as_posix()}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:24]
