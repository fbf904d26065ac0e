"""Scoring whole data sets: observe chunks of images on threads, add, score once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from segeval.errors import Caution, SegevalError
from segeval.evidence.sums import Parts, Sum
from segeval.evidence.tally import PackedTally, Tally
from segeval.metrics.metric import Metric
from segeval.metrics.options import rule_to_dict
from segeval.readers.counted import pairs_of
from segeval.readers.fetching import FetchedPairs
from segeval.readers.pairing import PairedSource
from segeval.readers.protocol import Source
from segeval.readers.reading import Place, Reading, takes_reading
from segeval.results.result import Result
from segeval.samples.pairs import Key
from segeval.scoring.opening import open_data
from segeval.scoring.shards import Shard, keys_digest, partial_result
from segeval.storage.mounts import told_by_address
from segeval.threads import available_workers, mapped
from segeval.version import __version__

# Images a chunk: enough that adding up is cheap beside reading, few enough that threads end together.
CHUNK = 32

Progress = Callable[[int, int], object]


class Engine(Protocol):
    """What counts the images: threads of this process, or a cluster (`segeval.scoring.cluster`)."""

    def tallies(self, keys: Sequence[Key]) -> Iterator[tuple[Sequence[Key], Tally | PackedTally]]:
        """Chunks of the keys with their tallies; each key once, in any order."""
        ...


@dataclass(frozen=True)
class Threads:
    """Threads of this process; as many as there are cores if `workers` is None."""

    source: Source
    metric: Metric
    workers: int | None = None

    def tallies(self, keys: Sequence[Key]) -> Iterator[tuple[Sequence[Key], Tally]]:
        """Chunks in the order of the keys, so that the error reported is the first in the data's order."""
        # A few images at least for each turn of a thread, so that few large images end together too.
        threads = available_workers() if self.workers is None else self.workers
        most = CHUNK * getattr(self.metric, "chunks_at_once", 1)
        size = max(1, min(most, len(keys) // (4 * threads))) if threads > 1 else most
        chunks = [keys[i : i + size] for i in range(0, len(keys), size)]
        if isinstance(self.source, FetchedPairs):
            self.source.expect(keys)
        return zip(chunks, mapped(self._observe, chunks, self.workers), strict=True)

    def _observe(self, chunk: Sequence[Key]) -> Tally:
        return self.metric.observe(pairs_of(self.source, chunk, self.metric))


def evaluate(
    source: Source,
    metric: Metric,
    *,
    workers: int | None = None,
    progress: Progress | None = None,
    keys: Sequence[Key] | None = None,
    engine: Engine | None = None,
    total: Sum | None = None,
) -> Tally:
    """Observe the pairs of a source; the same bits whatever counts them.

    Parameters
    ----------
    source
        Pairs of truth and prediction.
    metric
        The rule.
    workers
        Threads; as many as there are cores if None.
    progress
        Called with images done and images in all.
    keys
        Some of the source's images; all if None.
    engine
        What counts them, instead of threads.
    total
        What the tallies are added to, perhaps with the evidence of other images of the source in it.

    Raises
    ------
    SegevalError
        The first bad image, in the order of the source (or, on a cluster, the first that was met).
    """
    keys = list(source.keys() if keys is None else keys)
    whole = Sum() if total is None else total
    if not keys and total is None:
        raise SegevalError("no image to score", remedy="check the folders, or --missing")
    counts = engine or Threads(source, metric, workers)
    done = 0
    try:
        for chunk, tally in counts.tallies(keys) if keys else ():
            whole.add(tally)
            done += len(chunk)
            if progress:
                progress(done, len(keys))
    except BaseException:
        # The images before an error, or Ctrl-C, need not be counted again.
        whole.flush()
        raise
    return whole.total()


@takes_reading
@told_by_address
def score(
    pred: Place,
    gt: Place,
    *,
    task: str | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
    engine: str | None = None,
    shard: str | None = None,
    collapse: bool = False,
    parts: str | os.PathLike[str] | None = None,
    resume: bool = False,
    **options: Any,
) -> Result:
    """Score predictions against truth, from folders or files in any known format.

    Parameters
    ----------
    pred, gt
        A folder or a file; the format is recognised.
    task
        ``semantic``, ``instance`` or ``panoptic``; told from the truth if None and unmistakable.
    workers
        Threads; as many as there are cores if None.
    progress
        Called with images done and images in all.
    engine
        ``dask`` (processes of this machine, as many as `workers`) or ``dask://host:port`` (a running cluster, whose
        workers see the same paths); threads if None.
    shard
        ``i/n``: count only this piece, from 1/n to n/n. The result then has rows and no values, until
        `segeval.scoring.shards.merge_runs` adds the pieces.
    collapse
        Fold the rows of all images into one set: memory stays flat, and nothing per image is left.
    parts
        A folder where a long run keeps what it has counted so far, twice a minute.
    resume
        Go on from what a killed run of the same data and options left in `parts`; else that is removed.
    **options
        How the data are read, such as ``classes=19`` or ``missing="skip"``: the fields of
        `segeval.readers.reading.Reading`. And the rule's fields (`SemanticIoU`, `PanopticQuality`, `InstanceAP`), such
        as ``void=(255,)``.

    Returns
    -------
    Result
        With the evidence per image.

    Raises
    ------
    SegevalError
        For anything wrong with the data, in one line.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     pred, gt = Path(folder, "pred"), Path(folder, "gt")
    ...     for side, labels in ((pred, [[0, 1, 1]]), (gt, [[0, 0, 1]])):
    ...         side.mkdir()
    ...         np.save(side / "image.npy", np.array(labels, np.uint8))
    ...     result = score(pred, gt, task="semantic", classes=["road", "car"])
    >>> result["mIoU"], result.images
    (0.5, 1)
    """
    reading, options = Reading.among(pred, gt, options)
    opener = partial(open_data, reading, task, options)
    source, rule = opener()
    if collapse and getattr(rule, "average", "dataset") == "image":
        raise SegevalError("an average over images needs their rows", remedy="leave out --collapse")
    piece = Shard.parse(shard) if shard else None
    keys = piece.keys(list(source.keys())) if piece else list(source.keys())
    total = Sum(collapse)
    left = keys
    if resume and parts is None:
        raise SegevalError("nothing says where to go on", remedy="give the folder of parts")
    if parts is not None:
        plan = {"rule": rule_to_dict(rule), "keys": keys_digest(keys), **reading.recorded(), "pred": pred, "gt": gt}
        total.parts = Parts(Path(parts), {**plan, "segeval": __version__})
        left = _resumed(source, keys, total, resume)
    if engine is None:
        counts: Engine = Threads(source, rule, workers)
    else:
        from segeval.scoring.cluster import open_cluster

        counts = open_cluster(engine, opener, workers, collapse=total.folds_early)
    whole = total if keys else None
    tally = evaluate(source, rule, progress=progress, keys=left, engine=counts, total=whole)
    if len(tally) + tally.duplicates != len(keys):
        raise SegevalError(f"{len(tally)} of {len(keys)} images were counted", remedy="report this as a defect")
    cautions = (*source.cautions, *source.notes(rule.void_values))
    if piece:
        result = partial_result(rule, tally, piece, list(source.keys()), cautions)
    else:
        result = rule.score(tally)
        result = result.with_(warnings=(*cautions, *_same_place(pred, gt), *result.warnings))
    chosen = {name: getattr(rule, name) for name in options}
    said = {k: v for k, v in {**reading.recorded(), **chosen}.items() if v not in (None, "", ())}
    return result.with_(provenance={**result.provenance, **reading.places(), "options": said})


def _same_place(pred: str | os.PathLike[str], gt: str | os.PathLike[str]) -> list[Caution]:
    """A word where truth is scored against itself, which is easily done by a slip."""
    if os.path.realpath(pred) != os.path.realpath(gt):
        return []
    return [Caution("same-path", "truth and prediction are the same path: the truth is scored against itself")]


def _resumed(source: PairedSource, keys: list[Key], total: Sum, resume: bool) -> list[Key]:
    """Add what a killed run has counted; returns the images that are left."""
    assert total.parts is not None
    if not resume:
        total.parts.clear()
        return keys
    files = {key: source.files(key) for key in keys}
    done: set[Key] = set()
    for tally in total.parts.load(files):
        total.keep(tally)
        done |= set(tally.keys)
    return [key for key in keys if key not in done]
