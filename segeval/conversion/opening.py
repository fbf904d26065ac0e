"""Opening what is converted: its form is recognised, its classes and images are looked for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from segeval.conversion.categories import Entries, entries_of, taxonomy_of, things_of
from segeval.conversion.sources import ConversionSource
from segeval.errors import SegevalError
from segeval.readers.coco.instances import CocoInstances
from segeval.readers.coco.panoptic import CocoPanoptic
from segeval.readers.coco.tables import image_entries, read_tables
from segeval.readers.formats import format_of, named_classes, open_side, require_path
from segeval.readers.maps.panoptic import CodedPanoptic
from segeval.readers.protocol import Side
from segeval.readers.reading import Reading
from segeval.readers.recognition import recognise
from segeval.samples.taxonomy import Taxonomy
from segeval.storage.json_files import integer, read_bytes, read_json
from segeval.storage.mounts import told_by_address
from segeval.storage.remote import located

OBJECT = Taxonomy((1,), ("object",))
"""The class of instances where none is named."""


@told_by_address
def open_source(
    src: Any,
    form: str | None = None,
    *,
    classes: Taxonomy | None = None,
    gt: Any = None,
    void: tuple[int, ...] | None = None,
    listed_void: tuple[int, ...] = (),
    suffix: str = "",
    predictions: bool = False,
) -> ConversionSource:
    """Open what is converted.

    Parameters
    ----------
    src
        A path or an address.
    form
        A name of ``FORMATS``; recognised if None.
    classes
        Its classes, where it does not name them itself.
    gt
        The COCO JSON whose images and classes it is about.
    void
        Values that are void: labels 255 by default, others 0.
    listed_void
        Classes that a classes file lists as void, where `void` is None.
    suffix
        Only files whose names end so.
    predictions
        Whether a bare class in maps of class * 1000 + instance is nothing, rather than a crowd.

    Raises
    ------
    SegevalError
        For places that aren't there, and what the readers refuse.
    """
    place = located(src)
    path = place.path
    require_path(path)
    form = form or recognise(path, "--from", suffix=suffix)
    task = format_of(form).task
    truth = None if gt is None else located(gt).path
    if truth is not None:
        require_path(truth)
    tables = {} if truth is None else read_tables(truth)
    given = entries_of(classes) if classes is not None else _listed_categories(tables)
    if void is None:
        # In COCO panoptic form void values are segment ids.
        void = (listed_void or (255,)) if task == "semantic" else (0,)
        void = tuple(sorted({*void, *listed_void})) if form.startswith("panoptic-") else void
    opened = _open(form, path, given, tables, truth, void, suffix, predictions)
    return replace(opened, place=place)


def _listed_categories(tables: dict[str, Any]) -> Entries | None:
    listed = tables.get("categories")
    return tuple(listed) if isinstance(listed, list) and listed else None


def _open(
    form: str,
    path: Path,
    given: Entries | None,
    tables: dict[str, Any],
    truth: Path | None,
    void: tuple[int, ...],
    suffix: str,
    predictions: bool,
) -> ConversionSource:
    name, taxonomy, known = "truth", taxonomy_of(given), None
    ids: dict[int, int] = {}
    if form == "coco-instances":
        tables, ids = {**read_tables(path), **tables}, _map_ids(path)
    elif form == "coco-results":
        if truth is None:
            raise SegevalError(
                "results name neither sizes nor files of images", file=path, remedy="give the truth's JSON by --gt"
            )
        name, known = "prediction", CocoInstances(truth)
    elif form in ("instance-ids", "instance-npz"):
        name, taxonomy = "prediction" if predictions else "truth", taxonomy or OBJECT
    both = Reading(path, path, pred_suffix=suffix, gt_suffix=suffix)
    reader = open_side(Side(name, form, both, taxonomy, void, truth=known))
    if isinstance(reader, CocoPanoptic):
        tables = {**read_tables(reader.path), **tables}
    if isinstance(reader, (CocoPanoptic, CocoInstances)):
        listed = given or _listed_categories(tables)
    elif isinstance(reader, CodedPanoptic) and things_of(given) is None:
        # Its pixels have told which of the classes are things.
        listed = None if reader.taxonomy is None else entries_of(reader.taxonomy)
    else:
        named = named_classes(reader)
        listed = given or (None if named is None else entries_of(named))
    cautions = getattr(reader, "cautions", ())
    return ConversionSource(form, reader, listed, void, tables, image_entries(tables), ids, cautions)


def _map_ids(path: Path) -> dict[int, int]:
    """The field instance_id of annotations, where a file has it."""
    if b'"instance_id"' not in read_bytes(path):
        return {}
    found = {}
    for annotation in read_json(path)["annotations"]:
        if "instance_id" in annotation and isinstance(annotation.get("id"), int):
            found[annotation["id"]] = integer(annotation["instance_id"], "an instance_id", path)
    return found


def document_of(tables: dict[str, Any]) -> dict[str, Any]:
    """What a new JSON keeps of the old one's tables beside images and categories."""
    return {name: tables[name] for name in ("info", "licenses") if name in tables}
