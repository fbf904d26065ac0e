"""What intervals cost: ``python -m benchmarks.resampling``.

Rows of counts are made at random, for the time depends on their shape alone; instances are those of
`benchmarks.instance_inputs`. Wall and CPU seconds of `with_intervals`, after one small run that compiles.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks import instance_inputs
from segeval.evidence.rows import Rows
from segeval.evidence.tally import Tally
from segeval.metrics.panoptic.rule import PanopticQuality
from segeval.metrics.semantic.rule import SemanticIoU
from segeval.results.result import Result
from segeval.results.tables import Table, to_markdown
from segeval.samples.taxonomy import Taxonomy
from segeval.scoring.evaluation import score
from segeval.statistics.intervals import with_intervals
from segeval.statistics.resampling import Interval


def semantic_run(images: int, classes: int) -> Result:
    """Every class in every image, confused with two others."""
    rng = np.random.default_rng(0)
    image = np.repeat(np.arange(images, dtype=np.int32), 3 * classes)
    truth = np.tile(np.repeat(np.arange(classes), 3), images)
    predicted = (truth + np.tile([0, 1, 2], images * classes)) % classes
    pixels = rng.integers(1, 40_000, len(image))
    table = Rows(image, {"truth": truth, "prediction": predicted}, {"pixels": pixels})
    rule = SemanticIoU(taxonomy=Taxonomy.of_count(classes), void=(255,))
    return rule.score(Tally("semantic", "", tuple(range(images)), np.zeros(images, np.uint64), {"pixels": table}))


def panoptic_run(images: int, classes: int, held: int) -> Result:
    """`held` classes in each image."""
    rng = np.random.default_rng(0)
    image = np.repeat(np.arange(images, dtype=np.int32), held)
    kinds = np.sort(rng.permuted(np.tile(np.arange(classes), (images, 1)), axis=1)[:, :held], axis=1).ravel()
    tp, fp, fn = (rng.integers(0, most, len(image)) for most in (4, 2, 2))
    counts = {"tp": tp, "fp": fp, "fn": fn, "iou_high": tp << 26, "iou_low": np.zeros_like(tp)}
    none = np.zeros(0, np.int64)
    tables = {
        "classes": Rows(image, {"class": kinds}, counts),
        "matches": Rows(none.astype(np.int32), {"truth": none, "prediction": none}, {"matches": none}),
        "notes": Rows(none.astype(np.int32), {"code": none}, {"count": none}),
    }
    rule = PanopticQuality(taxonomy=Taxonomy(tuple(range(classes)), things=tuple(k < 80 for k in range(classes))))
    return rule.score(Tally("panoptic", "", tuple(range(images)), np.zeros(images, np.uint64), tables))


def instance_run(work: Path, images: int) -> Result:
    """Masks of 80 classes, about 30 detections an image."""
    paths = instance_inputs.write(work, images)
    return score(paths["segm"], paths["truth"], task="instance")


def main() -> None:
    """Time and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        for name, run, resamples in (
            ("semantic, 5,000 images, 19 classes", semantic_run(5000, 19), 10_000),
            ("panoptic, 5,000 images, 133 classes", panoptic_run(5000, 133, 10), 1000),
            ("instance, 1,000 images, 80 classes", instance_run(Path(folder), 1000), 1000),
        ):
            for method in ("percentile", "scaled"):
                with_intervals(run, Interval(resamples=40), workers=1)
                wall, cpu = time.perf_counter(), time.process_time()
                with_intervals(run, Interval(method, resamples=resamples), workers=args.workers)
                spent = (time.perf_counter() - wall, time.process_time() - cpu)
                lines.append((name, method, f"{resamples:,}", *(f"{s:.1f}" for s in spent)))
    print(to_markdown(Table(("run", "method", "resamples", "wall s", "CPU s"), tuple(lines), left=(0, 1))))


if __name__ == "__main__":
    main()
