"""What is converted: a place in any known form, image by image as labels, a partition or a stack of masks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from segeval.conversion.categories import Entries, things_of
from segeval.conversion.content import Content, ListedSegment, Partition, Stack, relabel, require_agreement
from segeval.errors import Caution, SegevalError
from segeval.readers.coco.instances import CocoInstances, CocoResults
from segeval.readers.coco.panoptic import CocoPanoptic
from segeval.readers.coco.tables import file_stem
from segeval.readers.maps.panoptic import BASE, CROWD, CodedPanoptic
from segeval.readers.protocol import Reader
from segeval.samples.instances import Instances
from segeval.samples.labels import as_labels
from segeval.samples.mask_runs import runs_of_instances
from segeval.samples.pairs import Key
from segeval.samples.panoptic import PanopticMap
from segeval.storage.mounts import release
from segeval.storage.remote import Located


@dataclass(frozen=True)
class ConversionSource:
    """One side, opened.

    Parameters
    ----------
    form
        A name of ``FORMATS``.
    reader
        Reads it.
    categories
        Its classes, where they are known.
    void
        Its values of void: classes, or segment ids in COCO panoptic form.
    tables
        What its JSON, or that of its truth, says beside annotations.
    images
        The images of these tables, by id.
    map_ids
        The ids that instances had in the map that a JSON was made of, by annotation id.
    cautions
        What was inferred.
    place
        Keeps an address's files.
    """

    form: str
    reader: Reader
    categories: Entries | None
    void: tuple[int, ...]
    tables: dict[str, Any] = field(default_factory=dict)
    images: dict[Key, dict[str, Any]] = field(default_factory=dict)
    map_ids: dict[int, int] = field(default_factory=dict)
    cautions: tuple[Caution, ...] = ()
    place: Located | None = None

    @property
    def by_id(self) -> bool:
        """Whether keys are image ids."""
        return self.reader.by_id

    def keys(self) -> Sequence[Key]:
        """The images."""
        return self.reader.keys()

    def name(self, key: Key) -> str:
        """The name of an image's files without extension."""
        if isinstance(self.reader, (CocoInstances, CocoResults)):
            return file_stem(self.images.get(key, {})) or str(key)
        return self.reader.name(key)

    def file(self, key: Key) -> str:
        """The file that holds an image."""
        return self.reader.file(key)

    def load(self, key: Key) -> Content:
        """One image; it owns its memory, but for label maps, which live until the thread's next one.

        Raises
        ------
        SegevalError
            What the reader refuses, and segments that disagree with their pixels.
        """
        found = self.reader.load(key)
        file = self.file(key)
        if isinstance(found, PanopticMap):
            partition = self._partition(found, key)
            require_agreement(partition, file, key)
            content: Content = partition
        elif isinstance(found, Instances):
            content = self._stack(found, key)
        else:
            content = as_labels(found, "the label map", file=file, key=key, signed=True)
        release((file,))
        return content

    def _partition(self, found: PanopticMap, key: Key) -> Partition:
        from segeval.kernels.counting import overlap

        ids = overlap.rgb_ids(found.pixels) if found.pixels.ndim == 3 else found.pixels.astype(np.uint32)
        if isinstance(self.reader, CocoPanoptic):
            raw = self.reader.entries[key]["segments_info"]
            segments = [
                ListedSegment(int(e["id"]), int(e["category_id"]), bool(e.get("iscrowd", 0)), self._score(e, key))
                for e in raw
                if int(e["id"]) not in self.void
            ]
            return Partition(ids, tuple(segments))
        if not isinstance(self.reader, CodedPanoptic):
            s = found.segments
            columns = zip(s.ids.tolist(), s.classes.tolist(), s.crowd.tolist(), strict=True)
            return Partition(ids, tuple(ListedSegment(*row) for row in columns))
        return _decoded(ids, found, self.reader, things_of(self.categories) or frozenset())

    def _score(self, entry: dict[str, Any], key: Key) -> float:
        score = entry.get("score", 1.0)
        if isinstance(score, (int, float)) and not isinstance(score, bool) and math.isfinite(score):
            return float(score)
        raise SegevalError(
            f"segment {entry['id']} has the score {score!r}", file=self.file(key), key=key, remedy="give a number"
        )

    def _stack(self, found: Instances, key: Key) -> Stack:
        runs = runs_of_instances(found, file=self.file(key), key=key)
        columns, rows = found.columns, slice(found.low, found.high)
        ids = columns.ids[rows].tolist()
        if self.form == "coco-instances":
            ids = [self.map_ids.get(i, 0) for i in ids]
        elif self.form != "instance-ids":
            ids = [0] * len(ids)
        listed = zip(
            ids,
            columns.classes[rows].tolist(),
            columns.crowd[rows].tolist(),
            columns.scores[rows].tolist(),
            strict=True,
        )
        is_truth = self.form in ("coco-instances", "instance-ids")
        return Stack(runs, tuple(ListedSegment(i, c, bool(g), 1.0 if is_truth else s) for i, c, g, s in listed))


def _decoded(ids: Any, found: PanopticMap, reader: CodedPanoptic, things: frozenset[int]) -> Partition:
    """Segments of a coded map, with class * 1000 + instance (or the bare class) as their ids."""
    above = 1 + max((0, *reader.void))
    table: dict[int, int] = {0: 0}
    segments = []
    listed = found.segments
    for value, category, crowd in zip(listed.ids.tolist(), listed.classes.tolist(), listed.crowd.tolist(), strict=True):
        code = value - above
        if reader.channels:
            number = code & (2**8 - 1)
            code = category * BASE + number if category in things and number != CROWD else category
        # A class 0 that is no void has the code 0, and ids begin at 1.
        ident = code if code > 0 and code not in table.values() else value
        table[value] = ident
        segments.append(ListedSegment(ident, category, crowd))
    return Partition(relabel(ids, table), tuple(segments))
