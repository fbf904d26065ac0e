"""The images of a conversion: their files' names, and their entries in COCO's lists."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from segeval.conversion.sources import ConversionSource
from segeval.errors import SegevalError
from segeval.readers.coco.tables import file_stem
from segeval.readers.listing import plain_name
from segeval.samples.pairs import Key


class NamedImage(NamedTuple):
    """What is known of an image: its key, the name of its files, its entry in COCO's list, its source (for messages).

    The entry has an id where the form that is written needs one.
    """

    key: Key
    name: str
    entry: dict[str, Any]
    file: str


def images_of(source: ConversionSource, results: bool) -> dict[Key, NamedImage]:
    """The images of a source, by key.

    Parameters
    ----------
    source
        What is converted.
    results
        Whether results are written: their ids must be the truth's, and can't be made up.

    Raises
    ------
    SegevalError
        For names that two images share or that lead out of a folder, and for ids that can't be told.
    """
    keys = list(source.keys())
    names = [source.name(key) for key in keys]
    name, count = Counter(names).most_common(1)[0] if names else ("", 1)
    if count > 1:
        raise SegevalError(f"{count} images have the name {name!r}", file=_place(source), remedy="rename all but one")
    for name in names:
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise SegevalError(f"the name {name!r} leads out of its folder", file=_place(source), remedy="rename it")
    ids = keys if source.by_id else _ids(source, names, results)
    found = {}
    for key, name, ident in zip(keys, names, ids, strict=True):
        entry = {"id": ident, "file_name": f"{name}.png"} | source.images.get(ident, {})
        found[key] = NamedImage(key, name, entry, source.file(key))
    return found


def _place(source: ConversionSource) -> str:
    return source.file(source.keys()[0])


def _ids(source: ConversionSource, names: list[str], results: bool) -> Sequence[Key]:
    """Ids for images that have names only: those of the truth, else the names' numbers, else 1, 2, 3, ..."""
    if source.images:
        by_stem = {file_stem(entry): key for key, entry in source.images.items()}
        chosen = [name if name in by_stem else plain_name(name) for name in names]
        absent = [name for name, stem in zip(names, chosen, strict=True) if stem not in by_stem]
        if absent:
            raise SegevalError(
                f"{absent[0]} is no file name of an image of --gt", file=_place(source), remedy="name files as there"
            )
        return [by_stem[stem] for stem in chosen]
    last = [name.rpartition("/")[2] for name in names]
    if all(name.isdecimal() and name.isascii() for name in last) and len({int(n) for n in last}) == len(last):
        return [int(name) for name in last]
    if results:
        text = "results need the images' ids, and these names are no numbers"
        raise SegevalError(text, file=_place(source), remedy="give the truth's JSON by --gt")
    return range(1, len(names) + 1)
