"""One contender doing one piece of work in a fresh process: ``python -m benchmarks.contender WORK NAME FOLDER``.

Prints one JSON line: values (for parity), CPU and wall seconds of the work itself (imports and the loading of compiled
code apart), peak memory, and the version.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Work = Callable[[], dict[str, Any]]
Prepare = Callable[[Path], Work]

# Where each piece of work finds its contenders: a module with CONTENDERS, name -> prepare.
WORKS = {
    "semantic": "benchmarks.semantic",
    "semantic-arrays": "benchmarks.semantic_arrays",
    "panoptic": "benchmarks.panoptic",
    "instance-segm": "benchmarks.instance",
    "instance-bbox": "benchmarks.instance_boxes",
}


def version_of(package: str) -> str:
    """The installed version, or a dash."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "–"


def main(work: str, name: str, folder: str) -> None:
    """Prepare, do the work once under the clock, print."""
    module = importlib.import_module(WORKS[work])
    run: Work = module.CONTENDERS[name](Path(folder))
    cpu, wall = time.process_time(), time.perf_counter()
    values = run()
    spent = {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}
    print(json.dumps({"values": values, **spent, "rss": peak_memory()}))


def peak_memory() -> float:
    """MB that this program held at most; the system's own `ru_maxrss` remembers the parent's before the start."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return float("nan")


def command(words: list[str]) -> None:
    """Run ``segeval`` itself, and print its peak memory on stderr's last line."""
    from segeval_cli import main as segeval

    code = segeval(words)
    print(peak_memory(), file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    command(sys.argv[2:]) if sys.argv[1] == "command" else main(*sys.argv[1:])
