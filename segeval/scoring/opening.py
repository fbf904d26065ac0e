"""From a reading and a task's name to pairs of images, and the rule that scores them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from segeval.errors import SegevalError
from segeval.metrics.metric import Metric
from segeval.metrics.options import check_options, whole_numbers
from segeval.metrics.tasks import reads_of, rule_of
from segeval.options import options as options_of
from segeval.readers.fetching import fetched_pairs
from segeval.readers.pairing import PairedSource
from segeval.readers.reading import Reading
from segeval.readers.recognition import recognise_task
from segeval.readers.sources import open_pairs
from segeval.storage.mounts import told_by_address
from segeval.storage.remote import located


@told_by_address
def open_data(
    reading: Reading, task: str | None = None, options: Mapping[str, Any] | None = None
) -> tuple[PairedSource, Metric]:
    """The pairs and the rule that `segeval.score` uses.

    Parameters
    ----------
    reading
        How the two sides are read.
    task
        Told from the truth if None.
    options
        The rule's fields.

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
    for name, path in (("pred", reading.pred), ("gt", reading.gt)):
        if not os.fspath(path):  # an unset variable of a shell; it would mean the current folder
            raise SegevalError(f"the path of {name} is empty", remedy="give a folder or a file")
    places = located(reading.pred), located(reading.gt)
    here = replace(reading, pred=places[0].path, gt=places[1].path)
    task = task or recognise_task(places[1].path, reading.gt_suffix)
    kind: Any = rule_of(task)
    chosen = dict(options or {})
    check_options(kind, chosen)
    known = {f.name for f in fields(kind)}  # a package's rule may lack some
    if clash := sorted(known & options_of(Reading).keys()):
        text = f"the rule of {task!r} has the option {clash[0]!r}, which says how data are read"
        raise SegevalError(text, remedy="upgrade the package that brings it, or remove it")
    reads, void = reads_of(task), chosen.get("void")
    reading.require_use(reads)
    if reads == "panoptic" and void is not None:
        void = whole_numbers(void, "void")
    source = open_pairs(here, reads, void=void, masks=chosen.get("iou") != "bbox")
    if "void" in known and source.void is not None:
        chosen["void"] = source.void
    return fetched_pairs(source, places), kind(taxonomy=source.taxonomy, **chosen)
