"""The classes on both sides of a conversion, and the table between them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segeval.conversion.content import ListedSegment, Partition, Stack, keep, unite
from segeval.errors import SegevalError
from segeval.readers.classes import read_table, taxonomy_of_categories
from segeval.samples.labels import meant
from segeval.samples.taxonomy import Taxonomy

# Objects as COCO lists them under 'categories'; what they hold beside id, name and isthing is passed on.
Entries = tuple[dict[str, Any], ...]
Table = str | os.PathLike[str] | Mapping[Any, Any]


def entries_of(taxonomy: Taxonomy) -> Entries:
    """A taxonomy as COCO's categories."""
    columns = zip(taxonomy.ids, taxonomy.names, taxonomy.colours, strict=True)
    entries = [{"id": i, "name": n, "color": list(c)} for i, n, c in columns]
    if taxonomy.things is not None:
        entries = [entry | {"isthing": int(t)} for entry, t in zip(entries, taxonomy.things, strict=True)]
    return tuple(entries)


def taxonomy_of(entries: Entries | None) -> Taxonomy | None:
    """The taxonomy of COCO's categories."""
    return None if entries is None else taxonomy_of_categories(list(entries), None)


def things_of(entries: Entries | None) -> frozenset[int] | None:
    """The classes that are things; None where nothing tells."""
    taxonomy = taxonomy_of(entries)
    if taxonomy is None or taxonomy.things is None:
        return None
    return frozenset(i for i, thing in zip(taxonomy.ids, taxonomy.things, strict=True) if thing)


@dataclass(frozen=True)
class ClassMap:
    """A table of classes.

    Parameters
    ----------
    table
        Classes by the classes that they become; None is void.
    closed
        Whether classes outside the table are refused; else they stay what they are.
    """

    table: dict[int, int | None]
    closed: bool = False

    def of(self, category: int, file: object = None, key: object = None) -> int | None:
        """What a class becomes; None is void.

        Raises
        ------
        SegevalError
            If the table should list it and doesn't.
        """
        if category in self.table:
            return self.table[category]
        if self.closed or category in self.table.values():
            other = next((old for old, new in self.table.items() if new == category), None)
            which = "" if self.closed else f", and {other} becomes {category}"
            text = f"class {category} is not in the table of --map{which}"
            raise SegevalError(text, file=file, key=key, remedy="add it, or map it to void")
        return category

    def labels(self, labels: NDArray[Any], from_void: int, to_void: int, file: object, key: object) -> NDArray[Any]:
        """A label map through the table; void that the table does not list becomes the new void.

        Raises
        ------
        SegevalError
            For what `of` refuses, and a value that would become void only because it is the value of void.
        """
        values = np.unique(labels)
        new: list[int] = []
        for value in map(meant, values.tolist()):
            what = None if value == from_void and value not in self.table else self.of(value, file, key)
            if what == to_void and value not in self.table:
                text = f"holds the value {value}, which is void in what is written"
                remedy = "map it, or give another --to-void (or --from-void, if it is void)"
                raise SegevalError(text, file=file, key=key, remedy=remedy)
            if what is not None and what < 0:
                remedy = f"map it (--map FILE), or give --from-void {value} if it is void"
                raise SegevalError(f"holds the negative label {value}", file=file, key=key, remedy=remedy)
            new.append(to_void if what is None else what)
        kind = np.min_scalar_type(max(to_void, *new))
        return np.array(new, np.int64).astype(kind)[np.searchsorted(values, labels)]

    def partition(self, partition: Partition, file: object, key: object) -> Partition:
        """Segments of the new classes."""
        kept = keep(partition, lambda s: self.of(s.category, file, key) is not None)
        return Partition(kept.ids, tuple(self._moved(s) for s in kept.segments))

    def stack(self, stack: Stack, file: object, key: object) -> Stack:
        """Masks of the new classes."""
        kept = stack.take([i for i, s in enumerate(stack.instances) if self.of(s.category, file, key) is not None])
        return Stack(kept.runs, tuple(self._moved(s) for s in kept.instances))

    def _moved(self, segment: ListedSegment) -> ListedSegment:
        category = self.of(segment.category)
        assert category is not None
        return ListedSegment(segment.id, category, segment.crowd, segment.score)


def unite_stuff(partition: Partition, things: frozenset[int] | None) -> Partition:
    """Each stuff class of an image as one segment, as the forms of panoptic truth have it."""
    if things is None:
        return partition
    return unite(partition, lambda s: None if s.category in things else (s.category, s.crowd))


def read_class_map(
    table: Table, source: Entries | None, target: Taxonomy | None, void: int
) -> tuple[ClassMap, Entries | None]:
    """A table of classes, and the classes that it leads to.

    Parameters
    ----------
    table
        A file that `read_table` reads, or a mapping. What is mapped is an id or a name of a class; what it becomes is
        an id, a name, or void: ``void``, nothing, a negative number, or the value of void.
    source
        The classes before, where they are known.
    target
        The classes after; where they are not given and the table says names, these are numbered from 1 in the order
        of the table, and every class must be in it.
    void
        The value of void in what is written.

    Raises
    ------
    SegevalError
        For unknown names, and a table that mixes ids and names.
    """
    file = None if isinstance(table, Mapping) else table
    pairs = list(table.items()) if isinstance(table, Mapping) else read_table(os.fspath(table))
    known = taxonomy_of(source)
    try:
        places = [(_source_id(a, known), _plain(b)) for a, b in pairs]
        ids = dict.fromkeys(b for _, b in places if isinstance(b, str) or (b >= 0 and b != void))
        names = [b for b in ids if isinstance(b, str)]
        numbers: dict[int | str, int] = {}
        if target is not None:
            numbers = {b: target.resolve(b) for b in ids}
        elif names and len(names) < len(ids):
            raise SegevalError(f"mixes names ({names[0]}) and ids", remedy="give ids, or names only")
        elif names:
            numbers = {name: k + 1 for k, name in enumerate(names)}
        else:
            numbers = {b: int(b) for b in ids}
    except SegevalError as error:
        raise SegevalError(error.message, file=file, remedy=error.remedy) from None
    moved = {a: numbers.get(b) for a, b in places}
    chosen = ClassMap(moved, closed=bool(names) and target is None)
    if target is not None:
        return chosen, _with_things(entries_of(target), chosen, source)
    if source is None:
        listed = tuple({"id": numbers[n], "name": n} for n in names)
        return chosen, listed or None
    return chosen, _with_things(_described(chosen, source, {numbers[n]: n for n in names}), chosen, source)


def _source_id(value: Any, known: Taxonomy | None) -> int:
    text = str(value).strip()
    if known is not None and (text in known.names or not text.lstrip("-").isdigit()):
        return known.resolve(text)
    try:
        return int(text)
    except ValueError:
        raise SegevalError(f"{text!r} is no class id, and no classes are given", remedy="give --classes") from None


def _plain(value: Any) -> int | str:
    """A target: its id, its name, or -1 for void."""
    if value is None or str(value).strip().lower() in ("", "void"):
        return -1
    text = str(value).strip()
    return int(text) if text.lstrip("-").isdigit() else text


def _described(chosen: ClassMap, source: Entries, names: dict[int, str]) -> Entries:
    """The classes after, described by those before."""
    before: dict[int, list[dict[str, Any]]] = {}
    for entry in source:
        new = chosen.table.get(entry["id"]) if entry["id"] in chosen.table or chosen.closed else entry["id"]
        if new is not None:
            before.setdefault(new, []).append(entry)
    old = {entry["id"]: entry for entry in source}
    out = []
    for ident in sorted(before):
        parts = before[ident]
        if ident in names:
            entry = {"id": ident, "name": names[ident]}
        elif len(parts) == 1:
            entry = parts[0] | {"id": ident}
        else:
            one = old.get(ident)
            entry = {"id": ident, "name": str(one["name"]) if one in parts and one and "name" in one else str(ident)}
        out.append({k: v for k, v in entry.items() if k != "isthing"})
    return tuple(out)


def _with_things(entries: Entries, chosen: ClassMap, source: Entries | None) -> Entries:
    """What is a thing stays one; a class made of things and stuff is neither, so that nothing tells them apart."""
    things = things_of(source)
    if things is None or all("isthing" in entry for entry in entries):
        return entries
    kinds: dict[int, set[bool]] = {}
    for entry in source or ():
        new = chosen.of(entry["id"]) if entry["id"] in chosen.table or not chosen.closed else None
        if new is not None:
            kinds.setdefault(new, set()).add(entry["id"] in things)
    if any(len(kind) > 1 for kind in kinds.values()):
        return entries
    return tuple(entry | {"isthing": int(kinds.get(entry["id"], {False}) == {True})} for entry in entries)
