"""``python -m benchmarks.scale_latency``: what reading ahead is worth where every file answers 50 ms late."""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from benchmarks.scale import CLASSES, make_folders
from segeval import evaluate
from segeval.readers.fetching import fetched_pairs
from segeval.readers.reading import Reading
from segeval.scoring.opening import open_data
from segeval.storage import mounts
from segeval.storage.mounts import Mount
from segeval.storage.remote import Located

LATENCY = 0.05


class Late:
    """A folder that answers late, however many ask."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def names(self) -> dict[str, float]:
        """The files."""
        return {p.relative_to(self.folder).as_posix(): 0.0 for p in self.folder.rglob("*.png")}

    def read(self, name: str) -> bytes:
        """One file, 50 ms later."""
        time.sleep(LATENCY)
        return (self.folder / name).read_bytes()


def seconds(pred: Path, gt: Path, ahead: int) -> float:
    """Scoring with so many files fetched ahead, listing excluded."""
    mounts.AHEAD = ahead
    places = [Located(m.root, m) for m in (Mount(Late(pred), "late://pred"), Mount(Late(gt), "late://gt"))]
    source, rule = open_data(Reading(places[0].path, places[1].path, classes=CLASSES), "semantic")
    source = fetched_pairs(source, places)
    start = time.perf_counter()
    evaluate(source, rule, workers=1)
    return time.perf_counter() - start


def main() -> None:
    """Measure both ways and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale_latency", description=__doc__)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "segeval-benchmarks" / "scale")
    args = parser.parse_args()
    pred, gt = make_folders(args.work, args.images)
    ahead = mounts.AHEAD
    serial, hidden = seconds(pred, gt, 0), seconds(pred, gt, ahead)
    print("| reading | s | images a second |\n|---|---:|---:|")
    for name, taken in (("one after another", serial), (f"{ahead} files ahead", hidden)):
        print(f"| {name} | {taken:.2f} | {args.images / taken:.0f} |")
    print(f"\n{serial / hidden:.1f} times the throughput, {1000 * LATENCY:.0f} ms of latency a file")


if __name__ == "__main__":
    main()
