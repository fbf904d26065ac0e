"""Adding tallies as they come: folded where no rows are wanted, and kept on disk so that a killed run can go on."""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from segeval.errors import SegevalError
from segeval.evidence.tally import PackedTally, Tally, merge_parts
from segeval.samples.pairs import Key
from segeval.storage.files import write_atomic

# Seconds of counting that a killed run may lose.
PART_SECONDS = 30.0

# Bytes that wait to be written, however fast a cluster counts.
PART_BYTES = 2**26

# Tallies that wait before they are added: adding is a sort, so it is not done for each.
MOST_LOOSE = 64

PLAN = "plan.json"
NAME = "counted-"


@dataclass
class Sum:
    """A growing tally.

    Parameters
    ----------
    collapse
        Fold the rows of all images into one set as they come.
    parts
        Where to keep what was counted, if anywhere.
    """

    collapse: bool = False
    parts: Parts | None = None
    _loose: list[PackedTally] = field(default_factory=list)
    _fresh: list[PackedTally] = field(default_factory=list)
    _since: float = field(default_factory=time.monotonic)
    _bytes: int = 0

    @property
    def folds_early(self) -> bool:
        """Whether what counts may fold the rows before it hands them over: nothing keeps them by image."""
        return self.collapse and self.parts is None

    def add(self, tally: Tally | PackedTally) -> None:
        """Add the tally of some images."""
        if self.parts is None:
            self.keep(tally)
            return
        packed = tally if isinstance(tally, PackedTally) else PackedTally.of(tally)
        self._fresh.append(packed)
        self._bytes += packed.nbytes
        if time.monotonic() - self._since >= PART_SECONDS or self._bytes >= PART_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what was not yet written."""
        if self.parts is not None and self._fresh:
            whole = merge_parts(self._fresh)
            self.parts.write(whole)
            self.keep(whole)
        self._fresh, self._since, self._bytes = [], time.monotonic(), 0

    def keep(self, tally: Tally | PackedTally) -> None:
        """Add a tally that is on disk already."""
        if self.collapse:
            tally = (tally.unpacked() if isinstance(tally, PackedTally) else tally).collapse()
        # Packed rows take a fraction of the memory that they take in the end.
        self._loose.append(tally if isinstance(tally, PackedTally) else PackedTally.of(tally))
        # Rows are merged once, at the end: merging grows with what there is. Folded rows stay few.
        if self.collapse and len(self._loose) >= MOST_LOOSE:
            self._loose = [PackedTally.of(merge_parts(self._loose).collapse())]

    def total(self) -> Tally:
        """The sum of everything; the parts go into it, and none are kept beside it."""
        parts = [*self._loose, *self._fresh]
        self._loose, self._fresh = [], []
        whole = merge_parts(parts)
        return whole.collapse() if self.collapse else whole


@dataclass
class Parts:
    """A folder of tallies that together are what a run has counted so far.

    Parameters
    ----------
    folder
        Made when the first part is written.
    plan
        What the run counts, as plain values; parts of another plan are not this run's.
    """

    folder: Path
    plan: Mapping[str, Any]
    _written: int = 0

    @property
    def _mark(self) -> str:
        text = json.dumps(self.plan, sort_keys=True, default=str)
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()

    def write(self, tally: Tally) -> None:
        """Write one part; the plan comes first."""
        if not (self.folder / PLAN).is_file():
            write_atomic(self.folder / PLAN, json.dumps({"plan": self._mark}))
        tally.save(self.folder / f"{NAME}{self._written:06d}.npz")
        self._written += 1

    def load(self, files: Mapping[Key, Sequence[str]]) -> list[Tally]:
        """The parts of a killed run; one that is older than a file of its images, or damaged, is left out.

        Parameters
        ----------
        files
            The files of each image that is to be counted.

        Raises
        ------
        SegevalError
            If the parts are another run's.
        """
        if not (self.folder / PLAN).is_file():
            return []
        try:
            stored = json.loads((self.folder / PLAN).read_text()).get("plan")
        except (OSError, ValueError, AttributeError):
            stored = None
        if stored != self._mark:
            raise SegevalError(
                "what was kept here is of another run",
                file=self.folder,
                remedy="give the options of that run, or leave out --resume to count everything again",
            )
        found = []
        age = _Ages()
        for path in sorted(self.folder.glob(f"{NAME}*.npz")):
            self._written = max(self._written, _number(path) + 1)
            try:
                tally = Tally.load(path)
            except SegevalError:
                continue
            written = path.stat().st_mtime
            if all(key in files and age.newest(files[key]) <= written for key in tally.keys):
                found.append(tally)
            else:
                path.unlink()
        return found

    def clear(self) -> None:
        """Remove what was kept; a folder that holds anything else stays, and so does that."""
        remove_parts(self.folder)


def remove_parts(folder: Path) -> None:
    """Remove the parts of a run from their folder, and the folder if nothing else is in it."""
    if not (folder / PLAN).is_file():
        return
    for path in (*folder.glob(f"{NAME}*.npz"), folder / PLAN):
        path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        folder.rmdir()


def _number(path: Path) -> int:
    digits = path.stem.removeprefix(NAME)
    return int(digits) if digits.isdecimal() else 0


class _Ages:
    """When files were changed; many images may share one file."""

    def __init__(self) -> None:
        self._of: dict[str, float] = {}

    def newest(self, files: Sequence[str]) -> float:
        for file in files:
            if file not in self._of:
                try:
                    self._of[file] = Path(file).stat().st_mtime
                except OSError:
                    self._of[file] = float("inf")
        return max((self._of[file] for file in files), default=0.0)
