"""From two paths and a task's name to pairs of images, and the rule that scores them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from segeval.errors import SegevalError
from segeval.metrics.metric import Metric
from segeval.metrics.options import check_options
from segeval.metrics.tasks import reads_of, rule_of
from segeval.readers.classes import read_classes
from segeval.readers.fetching import fetched_pairs
from segeval.readers.pairing import PairedSource
from segeval.readers.recognition import recognise_task
from segeval.readers.sources import open_instance, open_panoptic, open_semantic
from segeval.samples.taxonomy import Taxonomy
from segeval.storage.remote import located


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
) -> tuple[PairedSource, Metric]:
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
    for name, path in (("pred", pred), ("gt", gt)):
        if not os.fspath(path):  # an unset variable of a shell; it would mean the current folder
            raise SegevalError(f"the path of {name} is empty", remedy="give a folder or a file")
    places = located(pred), located(gt)
    pred_path, gt_path = (place.path for place in places)
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
    source, rule = _open(task, pred_path, gt_path, taxonomy, void, reading, options)
    return fetched_pairs(source, places), rule


def _open(
    task: str,
    pred: Path,
    gt: Path,
    taxonomy: Taxonomy | None,
    listed_void: tuple[int, ...] | None,
    reading: Mapping[str, Any],
    options: dict[str, Any],
) -> tuple[PairedSource, Metric]:
    kind: Any = rule_of(task)
    reads = reads_of(task)
    known = {f.name for f in fields(kind)}  # a package's rule may lack some
    if reads == "semantic":
        if listed_void is not None and options.get("void") is None and "void" in known:
            options["void"] = listed_void
        source = open_semantic(pred, gt, taxonomy=taxonomy, **reading)
        return source, kind(taxonomy=source.taxonomy, **options)
    if reads == "instance":
        source = open_instance(pred, gt, taxonomy=taxonomy, iou=options.get("iou", "segm"), **reading)
        return source, kind(taxonomy=source.taxonomy, **options)
    source = open_panoptic(
        pred, gt, taxonomy=taxonomy, void=options.get("void"), listed_void=listed_void or (), **reading
    )
    if "void" in known:
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
