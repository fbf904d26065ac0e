"""A source that takes its time and keeps a log; workers import it by name."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segeval.readers.reading import Reading
from segeval.samples.pairs import Key, Pair
from segeval.scoring.opening import open_data


@dataclass(frozen=True)
class Slow:
    """Another source, 20 ms later; the first read of a flaky key fails."""

    source: Any
    log: Path
    flaky: Key | None = None

    @property
    def taxonomy(self) -> Any:
        return self.source.taxonomy

    @property
    def cautions(self) -> Any:
        return self.source.cautions

    def keys(self) -> Any:
        return self.source.keys()

    def load(self, key: Key) -> Pair:
        time.sleep(0.02)
        # One write of one line: processes that append do not cut each other's.
        with (self.log).open("a") as stream:
            stream.write(f"{os.getpid()} {key}\n")
        mark = self.log.with_suffix(".flaky")
        if key == self.flaky and not mark.exists():
            mark.touch()
            raise OSError("the disk stalls")
        return self.source.load(key)


def open_slowly(pred: Path, gt: Path, log: Path, flaky: Key | None = None) -> tuple[Slow, Any]:
    """`open_data`, slowed down."""
    source, rule = open_data(Reading(pred, gt, classes=4), "semantic")
    return Slow(source, log, flaky), rule
