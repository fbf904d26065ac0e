"""Panoptic maps without a JSON: ``class * 1000 + instance``, or a class channel and an instance channel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segeval.errors import Caution, SegevalError
from segeval.readers.listing import list_files
from segeval.readers.maps.labels import EXTENSIONS, read_labels
from segeval.readers.protocol import Notes
from segeval.samples.labels import LARGEST_LABEL, as_labels
from segeval.samples.pairs import Key
from segeval.samples.panoptic import PanopticMap, Segments
from segeval.samples.taxonomy import Taxonomy

BASE = 1000
CROWD = 255  # the instance channel's value for a crowd region


@dataclass(frozen=True)
class CodedPanoptic:
    """One side as a folder of coded maps.

    In ``class * 1000 + instance`` a value below 1000 is a class without an instance: stuff, or a crowd region if the
    class is a thing. In two channels (R class, G instance, B = 0) class 0 is void and instance 255 a crowd region.
    Segment ids are the values plus what keeps them above all void values, so that void never names a segment.
    """

    files: dict[str, Path]
    side: str
    channels: bool
    void: tuple[int, ...]
    taxonomy: Taxonomy | None = None
    cautions: tuple[Caution, ...] = ()
    single: bool = False
    by_id: bool = False
    notes: Notes = field(default_factory=Notes, compare=False)

    @classmethod
    def open(cls, path: Path, side: str, *, channels: bool, void: tuple[int, ...], suffix: str = "") -> CodedPanoptic:
        """List the maps below a path."""
        notes = Notes()
        return cls(
            list_files(path, EXTENSIONS, "panoptic", suffix, notes),
            side,
            channels,
            void,
            single=path.is_file(),
            notes=notes,
        )

    def keys(self) -> Sequence[Key]:
        """Relative paths without extension."""
        return tuple(self.files)

    def name(self, key: Key) -> str:
        """The key itself."""
        return str(key)

    def file(self, key: Key) -> str:
        """The path."""
        return str(self.files[str(key)])

    @property
    def things(self) -> list[int]:
        """The classes that are things, where that is known."""
        if self.taxonomy is None or self.taxonomy.things is None:
            return []
        return [i for i, thing in zip(self.taxonomy.ids, self.taxonomy.things, strict=True) if thing]

    def values(self, key: Key) -> tuple[NDArray[Any], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """The map, its distinct values, and their classes and instances.

        Raises
        ------
        SegevalError
            If the file does not hold the form that was recognised.
        """
        from segeval.kernels.counting import overlap

        file = self.file(key)
        pixels = read_labels(file, self.side, self.notes)
        if self.channels:
            if pixels.ndim != 3 or pixels.dtype != np.uint8 or pixels.shape[2] < 3 or pixels[..., 2].any():
                raise SegevalError(
                    "is not a PNG of two channels (R class, G instance, B 0)",
                    file=file,
                    remedy="give its JSON, or name the format by --gt-format or --pred-format",
                )
            codes = pixels[..., 0].astype(np.uint32) * 256 + pixels[..., 1]
            distinct = np.unique(overlap.overlap_ids(codes, codes)[0]).astype(np.int64)
            return codes, distinct, distinct >> 8, distinct & 255
        codes = as_labels(pixels, self.side, file=file, key=key)
        distinct = np.unique(overlap.overlap_ids(codes, codes)[0]).astype(np.int64)
        with_instance = distinct >= BASE
        classes = np.where(with_instance, distinct // BASE, distinct)
        # Instance 0 of a class is written as the bare class, so these two never meet.
        return codes, distinct, classes, np.where(with_instance, distinct % BASE + 1, 0)

    def load(self, key: Key) -> PanopticMap:
        """Segment ids and segments."""
        codes, distinct, classes, instances = self.values(key)
        void = np.isin(classes, self.void)
        if self.channels:
            void |= classes == 0
            crowd = instances == CROWD
        else:
            crowd = (instances == 0) & np.isin(classes, self.things)
        above = 1 + max((0, *self.void))
        highest = int(distinct.max()) + above
        if highest > LARGEST_LABEL:
            raise SegevalError(
                f"holds the value {int(distinct.max())}",
                file=self.file(key),
                remedy=f"use values up to {LARGEST_LABEL - above}",
            )
        ids = codes.astype(np.uint32) + np.uint32(above)
        for value in distinct[void]:
            ids[codes == value] = 0
        keep = ~void
        ids_listed, classes, crowd = distinct[keep] + above, classes[keep], crowd[keep]
        # One crowd value a class and image, so each is the last of its class.
        areas = np.full(len(ids_listed), -1, np.int64)
        return PanopticMap(ids, Segments(ids_listed, classes, crowd, areas, crowd))

    def survey(self, progress: Callable[[int], object] | None = None) -> tuple[set[int], set[int]]:
        """The classes that the folder holds, and those that have an instance somewhere (the things)."""
        found: set[int] = set()
        things: set[int] = set()
        for key in self.keys():
            _, _, classes, instances = self.values(key)
            keep = ~np.isin(classes, self.void) & ~((classes == 0) & self.channels)
            found.update(classes[keep].tolist())
            things.update(classes[keep & (instances > 0)].tolist())
            if progress:
                progress(1)
        return found, things


def with_things(truth: CodedPanoptic, given: Taxonomy | None) -> CodedPanoptic:
    """A truth that tells things from stuff by its pixels, unless the classes say; predictions never decide.

    Its taxonomy has `things` set, and its cautions say what was inferred.
    """
    if given is not None and given.things is not None:
        return replace(truth, taxonomy=given)
    found, with_instances = truth.survey()
    notes = []
    if given is None:
        ids = tuple(sorted(found))
        shown = ", ".join(map(str, ids[:12])) + (", ..." if len(ids) > 12 else "")
        text = f"no classes given: took the {len(ids)} found in the truth ({shown}); give --classes to fix them"
        notes.append(Caution("classes-inferred", text))
        if 255 in found:
            text = "the truth holds the class 255: if it is void, give --void 0 255"
            notes.append(Caution("class-255", text))
        given = Taxonomy(ids)
    shown = ", ".join(n for i, n in zip(given.ids, given.names, strict=True) if i in with_instances) or "none"
    notes.append(Caution("things-inferred", f"things are the classes with instances in the truth: {shown}"))
    taxonomy = replace(given, things=tuple(i in with_instances for i in given.ids))
    return replace(truth, taxonomy=taxonomy, cautions=tuple(notes))
