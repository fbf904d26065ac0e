"""From one form to another: open, convert image by image on threads, write."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segeval.conversion.categories import Entries, Table, entries_of, read_class_map, things_of
from segeval.conversion.merging import Merging
from segeval.conversion.naming import images_of
from segeval.conversion.opening import document_of, open_source
from segeval.conversion.sources import ConversionSource
from segeval.conversion.steps import COUNTED, Below, Steps
from segeval.conversion.targets import INSTANCE_FORMS, SHAPES, ConversionTarget, Rows
from segeval.errors import Caution, SegevalError
from segeval.readers.classes import given_classes
from segeval.readers.formats import FORMATS, format_of
from segeval.readers.maps.labels import LabelFolder
from segeval.readers.pairing import notes_of
from segeval.readers.reading import Classes, Place
from segeval.samples.pairs import Key
from segeval.storage.files import require_writable
from segeval.storage.mounts import told_by_address
from segeval.storage.remote import is_address, located
from segeval.threads import mapped

SHORT = {"semantic": "labels", "panoptic": "coco-panoptic", "instance": "coco-instances"}
"""The usual form of each task, which its name stands for."""

Progress = Callable[[int, int], object]

# Images that a thread takes at a time.
_CHUNK = 8


@dataclass(frozen=True)
class Conversion:
    """What was converted.

    Parameters
    ----------
    source, target
        The forms read and written, names of ``readers.formats.FORMATS``.
    images
        How many.
    path
        What `score` reads: the folder, or the JSON.
    cautions
        What was inferred, joined or left out.
    """

    source: str
    target: str
    images: int
    path: Path
    cautions: tuple[Caution, ...]


@told_by_address
def convert(
    src: Place,
    out: Place,
    *,
    to: str,
    source_form: str | None = None,
    classes: Classes = None,
    table: Table | None = None,
    to_classes: Classes = None,
    gt: Place | None = None,
    semantic: Place | None = None,
    merging: Merging = Merging(),  # noqa: B008 - immutable
    stuff: bool = False,
    from_void: tuple[int, ...] | None = None,
    to_void: int | None = None,
    suffix: str = "",
    overwrite: bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Conversion:
    """Convert segmentations from one form to another.

    Parameters
    ----------
    src
        A path or an address, in any form that `score` reads.
    out
        The folder that is written; for COCO forms also the JSON, whose PNGs then go in the folder of the same stem.
    to
        A name of ``FORMATS``, or a task: ``semantic`` (labels), ``panoptic`` (coco-panoptic), ``instance``
        (coco-instances).
    source_form
        A name of ``FORMATS``; recognised if None.
    classes
        The classes of `src`: a taxonomy, a count, names or a file. If None, those that it names itself.
    table
        Classes, by id or name, and what they become (see `categories.read_class_map`).
    to_classes
        The classes after the table.
    gt
        A COCO JSON that knows the images' ids, sizes and files, and the classes; a results JSON needs it.
    semantic
        Label maps that give the stuff where instances leave room (to a panoptic form).
    merging
        How masks become one map.
    stuff
        To instances: stuff segments too, one instance each.
    from_void
        Void in label maps (255 by default), classes that are void in coded maps (0), segment ids in COCO panoptic (0).
    to_void
        Void in the label maps (255 by default) or the coded maps (0) that are written.
    suffix
        Only files of `src` whose names end so.
    overwrite
        Write into a folder that is not empty, or over a file.
    workers
        Threads; as many as there are cores if None.
    progress
        Called with images done and images in all.

    Returns
    -------
    Conversion
        How many images, and what a reader of them should know.

    Raises
    ------
    SegevalError
        For what can't be read, written, or said in the other form.
    """
    form = SHORT.get(to, to)
    if form not in SHAPES:
        raise SegevalError(f"{to!r} is no format to write", remedy=f"give one of {', '.join((*SHORT, *SHAPES))}")
    given, listed_void = given_classes(classes)
    source = open_source(
        src,
        source_form,
        classes=given,
        gt=gt,
        void=from_void,
        listed_void=listed_void or (),
        suffix=suffix,
        predictions=form == "coco-results",
    )
    _require_possible(source, form, semantic)
    _require_used(source, merging, stuff, from_void if semantic is None else None)
    void = to_void if to_void is not None else 255 if form == "labels" else 0
    target_classes, _ = given_classes(to_classes)
    entries, chosen = source.categories, None
    if table is not None:
        chosen, entries = read_class_map(table, entries, target_classes, void)
    elif target_classes is not None:
        entries = entries_of(target_classes)
    things = _things(entries, source.form, form)
    # Whatever instances are of, they are instances.
    stuff = stuff or format_of(source.form).task == "instance"
    target = ConversionTarget(form, Path(out), _listed(entries, things, form, stuff), void, document_of(source.tables))
    _require_void(target)
    _require_free(target, source, [p for p in (src, gt, semantic) if p is not None], overwrite)
    below = None
    if semantic is not None:
        folder = LabelFolder.open(located(semantic).path, "prediction")
        below = Below.open(source, folder, from_void if from_void is not None else listed_void or (255,))
    images = images_of(source, form == "coco-results")
    steps = Steps(source, target, images, merging, chosen, things, stuff, below)
    counts, listed, rows = _run(steps, workers, progress)
    target.finish(listed, rows)
    notes = [Caution(code, text.format(counts[code])) for code, text in COUNTED.items() if counts[code]]
    notes += notes_of(source.reader, "source", source.void, "--from-void")
    return Conversion(source.form, form, len(listed), target.json or target.out, (*source.cautions, *notes))


def _require_possible(source: ConversionSource, form: str, semantic: Place | None) -> None:
    task = format_of(source.form).task
    if task == "semantic" and form != "labels":
        file = source.file(source.keys()[0])
        remedy = "give the instances, and these maps by --semantic"
        raise SegevalError("label maps tell no instances apart", file=file, remedy=remedy)
    if semantic is not None and (task != "instance" or FORMATS[form].task != "panoptic"):
        remedy = "--semantic is for instances to panoptic"
        raise SegevalError(f"{source.form} to {form} has no use for label maps", file=semantic, remedy=remedy)


def _require_used(source: ConversionSource, merging: Merging, stuff: bool, from_void: tuple[int, ...] | None) -> None:
    """Refuse what has no effect on a source, and was therefore meant for another one."""
    is_stack = format_of(source.form).task == "instance"
    idle = {
        "an overlap, a score or an area of masks": merging != Merging() and not is_stack,
        "--stuff": stuff and is_stack,
        "--from-void": from_void is not None and is_stack,
    }
    if what := next((name for name, given in idle.items() if given), None):
        file = source.file(source.keys()[0])
        raise SegevalError(f"{what} has no effect on {source.form}", file=file, remedy="leave it out, or check --from")


def _things(entries: Entries | None, form: str, to: str) -> frozenset[int] | None:
    """The things, where they matter; instances are things unless something says that they are not."""
    things = things_of(entries)
    if things is None and format_of(form).task == "instance" and entries is not None:
        return frozenset(entry["id"] for entry in entries)
    if things is None and to != "labels":
        remedy = "give --classes (or, with --map, --to-classes) with isthing"
        raise SegevalError("nothing says which classes are things", remedy=remedy)
    return things


def _listed(entries: Entries | None, things: frozenset[int] | None, form: str, stuff: bool) -> Entries | None:
    """The classes as a form lists them: instances those that it has, panoptic all with what they are."""
    if entries is None or things is None or form == "labels":
        return entries
    if form in INSTANCE_FORMS:
        return tuple(entry for entry in entries if stuff or entry["id"] in things)
    return tuple(entry | {"isthing": int(entry["id"] in things)} for entry in entries)


def _require_void(target: ConversionTarget) -> None:
    if target.form not in ("labels", "panoptic-coded"):
        return
    if target.void in {entry["id"] for entry in target.categories or ()}:
        raise SegevalError(f"void is {target.void}, and so is a class", remedy="give another value by --to-void")
    highest = 999 if target.form == "panoptic-coded" else 2**16 - 1
    if not 0 <= target.void <= highest:
        raise SegevalError(f"{target.void} can't be void", remedy=f"give --to-void a value from 0 to {highest}")


def _require_free(target: ConversionTarget, source: ConversionSource, read: list[Place], overwrite: bool) -> None:
    """Refuse a target that is there already, or that is among what is read."""
    if target.out.is_file() and target.json != target.out:
        raise SegevalError("is a file, not a folder", file=target.out, remedy="give --out a folder")
    origins = {Path(place).resolve() for place in read if not is_address(place)}
    folders = [origin for origin in origins if origin.is_dir()]
    if source.form == "coco-panoptic":
        origins.add(Path(source.file(source.keys()[0])).resolve().parent)
    for place in target.places:
        there = place.resolve()
        if there in origins or any(there.is_relative_to(folder) for folder in folders):
            raise SegevalError("lies in what is read", file=place, remedy="give --out another folder")
        if not overwrite and place.exists() and (place.is_file() or any(place.iterdir())):
            what = "exists already" if place.is_file() else "is not empty"
            raise SegevalError(what, file=place, remedy="give --out another place, or --overwrite")
        require_writable(place)


def _run(steps: Steps, workers: int | None, progress: Progress | None) -> tuple[Counter[str], Rows, Rows]:
    """Convert all images; returns what was counted, the images' entries, and the rows of the JSON."""
    counts: Counter[str] = Counter()
    entries: Rows = []
    rows: Rows = []
    keys = list(steps.images)

    def convert_all(chunk: Sequence[Key]) -> list[tuple[dict[str, Any], Rows, Counter[str]]]:
        return [steps.convert(key) for key in chunk]

    for done in mapped(convert_all, [keys[i : i + _CHUNK] for i in range(0, len(keys), _CHUNK)], workers):
        for entry, own, counted in done:
            entries.append(entry)
            rows += own
            counts += counted
        if progress:
            progress(len(entries), len(keys))
    return counts, entries, rows
