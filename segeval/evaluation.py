"""Scoring whole data sets: observe chunks of images on threads, add, score once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from segeval.collecting import collector_paused
from segeval.errors import SegevalError
from segeval.metric import Metric, check_options
from segeval.readers.classes import read_classes
from segeval.readers.formats import recognise_task
from segeval.readers.instance_folders import open_instance
from segeval.readers.opening import open_panoptic, open_semantic
from segeval.readers.protocol import Source
from segeval.result import Result
from segeval.samples import Key, Pair
from segeval.tally import Tally, merge
from segeval.tasks import rule_of
from segeval.taxonomy import Taxonomy
from segeval.workers import available_workers

# Images a chunk: enough that adding up is cheap beside reading, few enough that threads end together.
CHUNK = 32

Progress = Callable[[int, int], object]
T = TypeVar("T")


def evaluate(source: Source, metric: Metric, *, workers: int | None = None, progress: Progress | None = None) -> Tally:
    """Observe every pair of a source; the same bits whatever the number of threads.

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

    Raises
    ------
    SegevalError
        The first bad image, in the order of the source.
    """
    keys = list(source.keys())
    if not keys:
        raise SegevalError("no image to score", remedy="check the folders, or --missing")
    size = getattr(metric, "images_at_once", CHUNK)
    chunks = [keys[i : i + size] for i in range(0, len(keys), size)]

    def observe(chunk: Sequence[Key]) -> Tally:
        return metric.observe(_pairs(source, chunk))

    done = 0
    tallies = []
    with collector_paused():
        for chunk, tally in zip(chunks, mapped(observe, chunks, workers), strict=True):
            tallies.append(tally)
            done += len(chunk)
            if progress:
                progress(done, len(keys))
        return merge(tallies)


def _pairs(source: Source, chunk: Sequence[Key]) -> Iterator[Pair]:
    for key in chunk:
        yield source.load(key)


def mapped(
    work: Callable[[Sequence[Key]], T], chunks: Sequence[Sequence[Key]], workers: int | None = None
) -> Iterator[T]:
    """What threads make of chunks of images, in the order of the chunks."""
    if workers is not None and workers < 1:
        raise SegevalError(f"{workers} workers can't score", remedy="give 1 or more")
    threads = min(workers or available_workers(), len(chunks))
    if threads == 1:
        yield from map(work, chunks)
        return
    pool = ThreadPoolExecutor(threads)
    try:
        # In order, so that the error reported is the first in the data's order, and not the fastest thread's.
        yield from pool.map(work, chunks)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def score(
    pred: str | os.PathLike[str],
    gt: str | os.PathLike[str],
    *,
    task: str | None = None,
    classes: Taxonomy | int | str | Sequence[str] | os.PathLike[str] | None = None,
    missing: str = "error",
    workers: int | None = None,
    progress: Progress | None = None,
    pred_format: str | None = None,
    gt_format: str | None = None,
    pred_suffix: str = "",
    gt_suffix: str = "",
    **options: Any,
) -> Result:
    """Score predictions against truth, from folders or files in any known format.

    Parameters
    ----------
    pred, gt
        A folder or a file; the format is recognised.
    task
        ``semantic``, ``instance`` or ``panoptic``; told from the truth if None and unmistakable.
    classes
        A taxonomy, a count, names, or a file (see ``readers.classes.read_classes``). If None, those of the truth.
    missing
        ``error``, ``skip`` or ``empty``: what to do with truths without a prediction.
    workers
        Threads; as many as there are cores if None.
    progress
        Called with images done and images in all.
    pred_format, gt_format
        Force a format (a name of ``readers.formats.FORMATS``).
    pred_suffix, gt_suffix
        Read only files whose names end so.
    **options
        The rule's fields (`SemanticIoU`, `PanopticQuality`, `InstanceAP`), such as ``void=(255,)``.

    Returns
    -------
    Result
        With the evidence per image.

    Raises
    ------
    SegevalError
        For anything wrong with the data, in one line.
    """
    reading = {
        "missing": missing,
        "pred_format": pred_format,
        "gt_format": gt_format,
        "pred_suffix": pred_suffix,
        "gt_suffix": gt_suffix,
    }
    with collector_paused():
        source, rule = open_data(pred, gt, task=task, classes=classes, **reading, **options)  # type: ignore[arg-type]
        result: Result = rule.score(evaluate(source, rule, workers=workers, progress=progress))
    provenance = {
        "pred": str(Path(pred).resolve()),
        "gt": str(Path(gt).resolve()),
        "options": {k: v for k, v in {**reading, **options}.items() if v not in (None, "", ())},
    }
    return result.with_(warnings=(*source.cautions, *result.warnings), provenance=provenance)


def open_data(
    pred: str | os.PathLike[str],
    gt: str | os.PathLike[str],
    *,
    task: str | None = None,
    classes: Taxonomy | int | str | Sequence[str] | os.PathLike[str] | None = None,
    missing: str = "error",
    pred_format: str | None = None,
    gt_format: str | None = None,
    pred_suffix: str = "",
    gt_suffix: str = "",
    **options: Any,
) -> tuple[Source, Any]:
    """The pairs and the rule that `score` uses; its parameters are those of `score`.

    Returns
    -------
    source
        Pairs of truth and prediction.
    rule
        `SemanticIoU`, `PanopticQuality` or `InstanceAP`, knowing the classes.

    Raises
    ------
    SegevalError
        For paths, forms, options and pairs that `score` refuses before it reads an image.
    """
    pred_path, gt_path = Path(pred), Path(gt)
    task = task or recognise_task(gt_path)
    check_options(rule_of(task), options)
    taxonomy, void = _classes(classes)
    reading = {
        "missing": missing,
        "pred_format": pred_format,
        "gt_format": gt_format,
        "pred_suffix": pred_suffix,
        "gt_suffix": gt_suffix,
    }
    return _open(task, pred_path, gt_path, taxonomy, void, reading, options)


def _open(
    task: str,
    pred: Path,
    gt: Path,
    taxonomy: Taxonomy | None,
    listed_void: tuple[int, ...] | None,
    reading: Mapping[str, Any],
    options: dict[str, Any],
) -> tuple[Source, Any]:
    kind = rule_of(task)
    if task == "semantic":
        if listed_void is not None and options.get("void") is None:
            options["void"] = listed_void
        return open_semantic(pred, gt, taxonomy=taxonomy, **reading), kind(taxonomy=taxonomy, **options)
    if task == "instance":
        source = open_instance(pred, gt, taxonomy=taxonomy, iou=options.get("iou", "segm"), **reading)
        return source, kind(taxonomy=source.taxonomy, **options)
    source = open_panoptic(
        pred, gt, taxonomy=taxonomy, void=options.get("void"), listed_void=listed_void or (), **reading
    )
    options["void"] = source.void
    return source, kind(taxonomy=source.taxonomy, **options)


def _classes(
    classes: Taxonomy | int | str | Sequence[str] | os.PathLike[str] | None,
) -> tuple[Taxonomy | None, tuple[int, ...] | None]:
    if classes is None:
        return None, None
    if isinstance(classes, (str, os.PathLike)):
        return read_classes(os.fspath(classes))
    return Taxonomy.of(classes), None
