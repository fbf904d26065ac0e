"""How often a 95% interval holds the true value, in populations whose truth is known; writes COVERAGE.md.

    OMP_NUM_THREADS=1 python -m benchmarks.coverage --out benchmarks/COVERAGE.md

Populations of 100,000 images are made of rows alone. Classes differ in how many images hold them, in size and in how
hard they are, images differ in how hard they are, and missed pixels go to other classes. Data sets of n images are
drawn, and every interval method is asked about each. The draws of resampling are the same for all data sets of one
size, which saves most of the time and does not bear on coverage.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from segeval.evidence.rows import Rows
from segeval.evidence.tally import Tally
from segeval.metrics.panoptic import rule as panoptic
from segeval.metrics.panoptic.rule import PanopticQuality
from segeval.metrics.reweighting import ReweightedCounts, left_out, reweighted
from segeval.metrics.semantic.rule import SemanticIoU
from segeval.results.tables import Table, to_markdown
from segeval.samples.taxonomy import Taxonomy
from segeval.statistics.bounds import bounds
from segeval.statistics.resampling import METHODS, Interval, drawn
from segeval.statistics.significance import bootstrap_p, randomization_p

CLASSES = 19
POPULATION = 100_000
RESAMPLES = 1000

# The share of images that hold each class: in `common` the rarest is in one image of eight, in `rare` of a hundred.
COMMON = np.concatenate([np.linspace(1, 0.3, 14), [0.25, 0.2, 0.2, 0.15, 0.12]])
RARE = np.concatenate([np.linspace(1, 0.3, 14), [0.1, 0.05, 0.03, 0.02, 0.01]])

Floats = NDArray[np.float64]
Evidence = ReweightedCounts


def _quality(rng: np.random.Generator, images: int, shift: float = 0.0) -> Floats:
    """Which share of a class's pixels is found, by image and class."""
    hard = rng.normal(0, 0.6, (images, 1))
    logit = rng.normal(np.linspace(2.5, 0.3, CLASSES) + shift, 0.8, (images, CLASSES)) + hard
    return np.asarray(1 / (1 + np.exp(-logit)))


def _presence(rng: np.random.Generator, shares: Floats, images: int) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    there = rng.random((images, CLASSES)) < shares
    size = rng.lognormal(0, 1, (images, CLASSES)) * np.where(shares > 0.5, 20_000, 3_000)
    return there, np.floor(there * size).astype(np.int64)


def semantic_rows(rng: np.random.Generator, truth: NDArray[np.int64]) -> Floats:
    """Common, truth and predicted pixels (images, 3 K) of one system."""
    common = np.floor(truth * _quality(rng, len(truth))).astype(np.int64)
    missed = truth - common
    predicted = common + np.roll(missed * 7 // 10, -1, axis=1)
    stray = rng.integers(0, 2, missed.shape) * (missed // 50)
    return np.concatenate([common, truth, predicted + np.roll(stray, 1, axis=1)], axis=1).astype(np.float64)


def panoptic_rows(rng: np.random.Generator, there: NDArray[np.bool_]) -> Floats:
    """True and false positives, misses and the parts of summed IoUs (images, 5 K) of one system."""
    segments = there * (1 + rng.poisson(1.5, there.shape))
    found = rng.binomial(segments, _quality(rng, len(there)))
    invented = rng.poisson(0.25, there.shape) * (rng.random(there.shape) < 0.5 * there + 0.01)
    mean = 0.75 + 0.1 * rng.standard_normal(there.shape).clip(-2, 2)
    iou = np.rint(found * mean * 2.0**20).astype(np.int64)  # multiples of 2^-20: the low part is 0
    parts = [found, invented, segments - found, iou << 7, np.zeros_like(iou)]
    return np.concatenate(parts, axis=1).astype(np.float64)


def _empty(task: str) -> Evidence:
    """An evidence of the task without images, whose formulas and names are the real ones."""
    none = np.zeros(1, np.int64)
    classes = Taxonomy(tuple(range(CLASSES)), things=tuple(k % 2 == 0 for k in range(CLASSES)))
    if task == "semantic":
        rule = SemanticIoU(taxonomy=classes, void=(255,))
        tables = {"pixels": Rows(none.astype(np.int32), {"truth": none, "prediction": none}, {"pixels": none + 1})}
        result = rule.score(Tally(task, "", (0,), np.zeros(1, np.uint64), tables))
    else:
        counts = dict.fromkeys(panoptic.COUNTS, none)
        tables = {
            "classes": Rows(none.astype(np.int32), {"class": none}, counts),
            "matches": Rows(none.astype(np.int32), {"truth": none, "prediction": none}, {"matches": none}),
            "notes": Rows(none.astype(np.int32), {"code": none}, {"count": none}),
        }
        result = PanopticQuality(taxonomy=classes).score(Tally(task, "", (0,), np.zeros(1, np.uint64), tables))
    evidence = reweighted(result)
    assert isinstance(evidence, ReweightedCounts)
    return evidence


@dataclass(frozen=True)
class Population:
    """Rows of two systems of one quality on the same images, and the formulas."""

    name: str
    shares: Floats
    form: Evidence
    first: Floats
    second: Floats

    def sample(self, which: NDArray[np.int64], rows: Floats) -> Evidence:
        """A data set of some of the images."""
        return replace(self.form, keys=tuple(range(len(which))), rows=rows[which])


def population(task: str, name: str, shares: Floats, seed: int = 0) -> Population:
    """A population under one seed."""
    rng = np.random.default_rng(seed)
    there, truth = _presence(rng, shares, POPULATION)
    make: Callable[[], Floats]
    if task == "semantic":
        make = lambda: semantic_rows(rng, truth)  # noqa: E731
    else:
        make = lambda: panoptic_rows(rng, there)  # noqa: E731
    return Population(f"{task}, {name}", shares, _empty(task), make(), make())


def coverage(of: Population, images: int, data_sets: int, seed: int = 1) -> list[str]:
    """One line of the table: how often each method's interval holds the truth, for the mean and the rarest class."""
    rng = np.random.default_rng(seed)
    everything = replace(of.form, keys=tuple(range(POPULATION)), rows=of.first)
    true = everything.at(np.ones((1, POPULATION)))
    weights, without = drawn(0, range(RESAMPLES), images), left_out(np.arange(images), range(images))
    ones = np.ones((1, images))
    held: dict[str, list[tuple[bool, bool, float]]] = {m: [] for m in METHODS}
    truths = np.array([true.values[0, 0], true.classes[0, -1, 0]])
    fewest = []
    for _ in range(data_sets):
        which = rng.integers(0, POPULATION, images)
        sample = of.sample(which, of.first)
        samples, left, once = (_two(sample, w) for w in (weights, without, ones))
        fewest.append(int((sample.rows.reshape(images, -1, CLASSES).sum(axis=1)[:, -1] > 0).sum()))
        for method in METHODS:
            low, high = bounds(samples, once[0], Interval(method), left)
            inside = (low <= truths) & (truths <= high)
            held[method].append((bool(inside[0]), bool(inside[1]), float(high[0] - low[0])))
    cells = [of.name, str(images), f"{images * of.shares[-1]:.0f}"]
    for method in METHODS:
        mean = np.mean(np.array(held[method], np.float64), axis=0)
        cells.append(f"{mean[0]:.3f} ({100 * mean[2]:.1f})")
    cells += [f"{np.mean([h[1] for h in held[m]]):.2f}" for m in METHODS]
    return cells


def _two(sample: Evidence, weights: Floats) -> Floats:
    """The headline and the first figure of the rarest class: (R, 2)."""
    figures = sample.at(weights)
    return np.stack([figures.values[:, 0], figures.classes[:, -1, 0]], axis=1)


def false_alarms(of: Population, images: int, data_sets: int, seed: int = 2) -> list[str]:
    """One line of the second table: how often each test calls two equal systems different at 0.05."""
    rng = np.random.default_rng(seed)
    interval = Interval(resamples=299)
    weights, without = drawn(0, range(299), images), left_out(np.arange(images), range(images))
    ones = np.ones((1, images))
    found = []
    for trial in range(data_sets):
        which = rng.integers(0, POPULATION, images)
        a, b = of.sample(which, of.first), of.sample(which, of.second)
        samples, left, once = (b.at(w).values[:, :1] - a.at(w).values[:, :1] for w in (weights, without, ones))
        swap = randomization_p(a, b, replace(interval, seed=trial), np.arange(images), 1)[0]
        boot, scaled = (bootstrap_p(samples, once[0], aside)[0] for aside in (None, left))
        low, high = bounds(samples, once[0], interval, left, (-1.0, 1.0))
        found.append((swap <= 0.05, scaled <= 0.05, boot <= 0.05, bool(low[0] > 0 or high[0] < 0)))
    return [of.name, str(images), *(f"{share:.3f}" for share in np.mean(np.array(found, np.float64), axis=0))]


def report(lines: Sequence[list[str]], alarms: Sequence[list[str]], data_sets: int, seconds: float) -> str:
    """The page."""
    headers = ("population", "n", "rarest class in", *METHODS, *(f"rarest, {m}" for m in METHODS))
    first = to_markdown(Table(headers, tuple(map(tuple, lines))))
    second = to_markdown(
        Table(
            ("population", "n", "randomization", "bootstrap", "plain bootstrap", "interval without 0"),
            tuple(map(tuple, alarms)),
        )
    )
    noise = 1.96 * np.sqrt(0.95 * 0.05 / data_sets)
    return f"""# Coverage of intervals

Made by `OMP_NUM_THREADS=1 python -m benchmarks.coverage --data-sets {data_sets} --out benchmarks/COVERAGE.md`
({seconds:.0f} s).

## How often a 95% interval holds the true value

{CLASSES} classes; {data_sets} data sets a line, so a share of 0.95 is known to ±{noise:.3f}; {RESAMPLES} resamples.
"rarest class in" is how many of the n images hold it on average. For each method first the share for the headline
(mIoU or PQ) with the mean width in points, then the share for the rarest class's own IoU or PQ, where no interval
(a class in one image, or none) counts as not holding it.

{first}

`scaled`, the default, has the shape of the bootstrap about the score itself and the jackknife's spread where that is
wider; see docs/statistics.md. Where the rarest class is in fewer than about 10 images, no method is to be relied on
for that class, and the plain percentiles are too narrow for the mean as well.

## How often two equal systems are called different at 0.05

Two systems of one quality on the same images; {data_sets} data sets a line, 299 resamples.

{second}

A randomization test holds its level on any number of images, which is why `compare` goes by it where it can.
"bootstrap" is the test that it makes beside that one, and by which it goes for AP: with the spread of the scaled
interval. Without that (`--method percentile` and `bca`) it calls too much different where classes are rare.
"""


def main() -> None:
    """Simulate and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-sets", type=int, default=600, help="data sets a line")
    parser.add_argument("--sizes", type=int, nargs="+", default=[50, 100, 200, 500, 1000, 2000])
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    started = time.process_time()
    lines, alarms = [], []
    for task in ("semantic", "panoptic"):
        for name, shares in (("common", COMMON), ("rare", RARE)):
            of = population(task, name, shares)
            for images in args.sizes:
                if task == "semantic" or images in (100, 1000):
                    lines.append(coverage(of, images, args.data_sets))
                    print(*lines[-1], sep="  ", flush=True)
                if images in (50, 200):
                    alarms.append(false_alarms(of, images, args.data_sets))
                    print(*alarms[-1], sep="  ", flush=True)
    text = report(lines, alarms, args.data_sets, time.process_time() - started)
    if args.out:
        args.out.write_text(text, encoding="utf-8")
    else:
        print(text)


if __name__ == "__main__":
    main()
