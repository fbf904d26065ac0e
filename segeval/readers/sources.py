"""From a reading to pairs of images: recognise, open, pair."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from segeval.errors import Caution, SegevalError
from segeval.readers.classes import given_classes
from segeval.readers.formats import FORMATS, check_format, named_classes, open_side, require_path
from segeval.readers.maps.instances import OBJECT, no_instances_like
from segeval.readers.maps.labels import void_like
from segeval.readers.pairing import PairedSource, pair_up
from segeval.readers.protocol import Reader, Side
from segeval.readers.reading import Reading
from segeval.readers.recognition import recognise
from segeval.samples.panoptic import no_segments_like
from segeval.samples.taxonomy import Taxonomy

# The prediction of nothing, by what is read.
NOTHING: dict[str, Callable[[Any], Any]] = {
    "semantic": void_like,
    "panoptic": no_segments_like,
    "instance": no_instances_like,
}


def open_pairs(reading: Reading, task: str, *, void: tuple[int, ...] | None = None, masks: bool = True) -> PairedSource:
    """Pairs of a task's images, in any two of its formats; the truth decides the classes, and which are things.

    Parameters
    ----------
    reading
        How they are read; its places are paths of this machine.
    task
        Whose images they are: ``semantic``, ``panoptic`` or ``instance``.
    void
        Values that are void: segment ids in COCO panoptic form, classes in the others. Where None, those that a file of
        classes lists; in panoptic maps they join 0.
    masks
        Whether masks of instances are wanted, or boxes alone.

    Raises
    ------
    SegevalError
        For paths that aren't there, formats that can't be told or don't go together, and what readers and pairing
        refuse.
    """
    taxonomy, listed_void = given_classes(reading.classes)
    forms = _formats(reading, task)
    if task == "instance":
        _require_alike(forms, Path(reading.pred))
    if void is None:
        void = _usual_void(task, forms["truth"], listed_void)
    truth = open_side(Side("truth", forms["truth"], reading, taxonomy, void, masks))
    taxonomy, notes = _known_classes(task, taxonomy, truth, Path(reading.gt))
    # Ids of the truth's segments that are void say nothing about the prediction's.
    foreign = forms["prediction"] == "coco-panoptic" != forms["truth"]
    theirs = (0,) if foreign else void
    prediction = open_side(Side("prediction", forms["prediction"], reading, taxonomy, theirs, masks, truth))
    return pair_up(
        truth,
        prediction,
        missing=reading.missing,
        empty=NOTHING[task],
        taxonomy=taxonomy,
        cautions=(*notes, *_cautions(truth), *_cautions(prediction)),
        truth_path=Path(reading.gt),
        prediction_path=Path(reading.pred),
        void=void,
    )


def _formats(reading: Reading, task: str) -> dict[str, str]:
    """The format of each side, as it is said or told."""
    places = {"truth": (Path(reading.gt), "--gt-format"), "prediction": (Path(reading.pred), "--pred-format")}
    for side, (path, _) in places.items():
        require_path(path)
        if said := reading.of(side, "format"):
            check_format(said, task, side)
    return {
        side: reading.of(side, "format")
        or recognise(path, option, task=task, side=side, suffix=reading.of(side, "suffix"))
        for side, (path, option) in places.items()
    }


def _require_alike(forms: dict[str, str], pred: Path) -> None:
    """Refuse ids of a JSON against names of files; what a package brings may go with either."""
    coco, results = forms["truth"] == "coco-instances", forms["prediction"] == "coco-results"
    if coco != results and all(form in FORMATS for form in forms.values()):
        has, wants = ("an instances JSON", "a results JSON") if coco else ("a folder of maps", "a folder")
        raise SegevalError(f"the truth is {has}, so the prediction must be {wants}", file=pred, remedy=f"give {wants}")


def _usual_void(task: str, form: str, listed: tuple[int, ...] | None) -> tuple[int, ...] | None:
    """What is void where nobody says so; for labels the rule knows."""
    if task == "panoptic":
        coded = form in ("panoptic-coded", "panoptic-channels")
        return tuple(sorted({0, *(listed or ())})) if coded else (0,)
    return listed if task == "semantic" else None


def _known_classes(
    task: str, given: Taxonomy | None, truth: Reader, gt: Path
) -> tuple[Taxonomy | None, tuple[Caution, ...]]:
    """The classes that are scored, and what is to be said of them: those given, else those that the truth names."""
    named = named_classes(truth)
    taxonomy = named if given is None else given
    if task == "instance" and (taxonomy is None or taxonomy is OBJECT):
        text = "no classes given: every instance is of one class; give --classes for class * 1000 + instance"
        return OBJECT, (Caution("one-class", text),)
    if task != "panoptic":
        return taxonomy, ()
    if taxonomy is None:
        file = getattr(truth, "path", gt)
        raise SegevalError("has no 'categories'", file=file, remedy="add them, or give --classes FILE")
    if taxonomy.things is None and named is not None and named.things is not None:
        known = dict(zip(named.ids, named.things, strict=True))
        taxonomy = replace(taxonomy, things=tuple(known.get(i, False) for i in taxonomy.ids))
    if taxonomy.things is not None:
        return taxonomy, ()
    text = "no category has 'isthing': things and stuff are not told apart"
    return taxonomy, (Caution("things-unknown", text),)


def _cautions(reader: Reader) -> tuple[Caution, ...]:
    """What a reader inferred."""
    found: tuple[Caution, ...] = getattr(reader, "cautions", ())
    return found
