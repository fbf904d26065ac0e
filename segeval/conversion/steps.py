"""What is done to one image on its way from one form to another."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segeval.conversion.categories import ClassMap, things_of, unite_stuff
from segeval.conversion.content import Content, Partition, Stack, keep, labels_of, stack_of, unite
from segeval.conversion.merging import Merging, confident, flatten, with_stuff
from segeval.conversion.naming import NamedImage
from segeval.conversion.sources import ConversionSource
from segeval.conversion.targets import INSTANCE_FORMS, SHAPES, WITHOUT_CROWDS, WITHOUT_JSON, ConversionTarget, Rows
from segeval.errors import SegevalError
from segeval.readers.maps.labels import LabelFolder
from segeval.readers.pairing import match_keys
from segeval.samples.labels import as_labels, require_same_size
from segeval.samples.pairs import Key

COUNTED = {
    "score-low": "{} instances score less than --min-score and are left out",
    "no-pixel-left": "{} instances are left out, for others own their pixels",
    "crowds-left-out": "{} crowd regions are left out, which this form can't tell from instances",
    "segments-joined": "{} crowds or stuff segments are joined to another of their class, as this form has only one",
}


@dataclass(frozen=True)
class Below:
    """Label maps whose stuff lies below instances.

    Parameters
    ----------
    folder
        The label maps.
    pairs
        Their keys by those of the instances.
    void
        Their values that are void.
    """

    folder: LabelFolder
    pairs: dict[Key, Key]
    void: tuple[int, ...]

    @classmethod
    def open(cls, source: ConversionSource, folder: LabelFolder, void: tuple[int, ...]) -> Below:
        """Match label maps with images.

        Raises
        ------
        SegevalError
            If an image has none.
        """
        pairs, left, _ = match_keys(source, folder)
        if left:
            count = f"{len(left)} of {len(source.keys())} images have no label map"
            file = folder.file(folder.keys()[0])
            raise SegevalError(
                f"{count} beside this one, the first is {source.name(left[0])}", file=file, remedy="add it"
            )
        return cls(folder, pairs, void)

    def over(self, partition: Partition, image: NamedImage, source: ConversionSource, least_area: int) -> Partition:
        """Segments of things over the stuff of an image's label map.

        Raises
        ------
        SegevalError
            For a label map of another size, and for values that are no class.
        """
        other = self.pairs[image.key]
        file = self.folder.file(other)
        labels = as_labels(self.folder.load(other), "the label map", file=file, key=image.key, signed=True)
        require_same_size(partition.ids, labels, file=file, key=image.key, remedy="give label maps of the same size")
        known = {entry["id"] for entry in source.categories or ()}
        if strange := set(np.unique(labels).tolist()) - known - set(self.void):
            remedy = "give --classes with things and stuff, or say what is void by --from-void"
            raise SegevalError(f"holds {min(strange)}, which is no class", file=file, key=image.key, remedy=remedy)
        things = things_of(source.categories)
        return with_stuff(partition, labels, known - (known if things is None else things), least_area)


@dataclass(frozen=True)
class Steps:
    """From a source to a target, image by image.

    Parameters
    ----------
    source, target
        What is read and written.
    images
        The images by key.
    merging
        How masks become one map.
    chosen
        The table of classes, if there is one.
    things
        The things among the target's classes, where they matter.
    stuff
        Whether stuff segments become instances too.
    below
        Label maps below the instances.
    """

    source: ConversionSource
    target: ConversionTarget
    images: dict[Key, NamedImage]
    merging: Merging
    chosen: ClassMap | None
    things: frozenset[int] | None
    stuff: bool
    below: Below | None

    def convert(self, key: Key) -> tuple[dict[str, Any], Rows, Counter[str]]:
        """Read, convert and write one image.

        Returns
        -------
        entry
            Its entry in the list of images.
        rows
            Its rows in the JSON.
        counts
            What was left out or joined.
        """
        counts: Counter[str] = Counter()
        image = self.images[key]
        content = self.source.load(key)
        _require_known(content, self.source, image)
        height, width = _size(content)
        if isinstance(content, Stack):
            stack = confident(content, self.merging.min_score)
            counts["score-low"] += len(content.instances) - len(stack.instances)
            content = self._of_stack(stack, image, counts)
        elif isinstance(content, Partition):
            content = self._mapped(content, image)
        else:
            content = self._relabelled(content, image)
        rows = self.target.write(image, self._fitting(content, counts))
        return image.entry | {"height": height, "width": width}, rows, counts

    def _relabelled(self, labels: NDArray[Any], image: NamedImage) -> NDArray[Any]:
        """A label map through the table, with another void."""
        first, *more = self.source.void or (self.target.void,)
        chosen = self.chosen or ClassMap({})
        chosen = replace(chosen, table=dict.fromkeys(more) | chosen.table)
        return chosen.labels(labels, first, self.target.void, image.file, image.key)

    def _mapped(self, content: Partition, image: NamedImage) -> Partition:
        if self.chosen is None:
            return content
        return unite_stuff(self.chosen.partition(content, image.file, image.key), self.things)

    def _of_stack(self, stack: Stack, image: NamedImage, counts: Counter[str]) -> Partition | Stack:
        """Masks as the target has them: as they are, or as segments that share no pixel."""
        if self.chosen is not None and self.below is None:
            stack = self.chosen.stack(stack, image.file, image.key)
        if SHAPES[self.target.form] == "stack":
            return stack
        partition, left_out = flatten(stack, self.merging, file=image.file, key=image.key)
        counts["no-pixel-left"] += left_out
        if self.below is not None:
            # The label maps have the classes before the table too.
            partition = self._mapped(
                self.below.over(partition, image, self.source, self.merging.stuff_area), image
            )  # fmt: skip
        return partition if self.target.form in INSTANCE_FORMS else unite_stuff(partition, self.things)

    def _fitting(self, content: Content, counts: Counter[str]) -> Content:
        """The image in the shape that the form has, without what it has no place for."""
        form, things = self.target.form, self.things
        if not isinstance(content, (Partition, Stack)):
            return content
        if isinstance(content, Partition):
            if form in INSTANCE_FORMS and not self.stuff and things is not None:
                content = keep(content, lambda s: s.category in things)
            if form in WITHOUT_JSON and things is not None:
                whole = len(content.segments)
                content = unite(content, lambda s: s.category if s.crowd or s.category not in things else None)
                counts["segments-joined"] += whole - len(content.segments)
            if SHAPES[form] == "labels":
                return labels_of(content, self.target.void)
            if SHAPES[form] == "partition":
                return content
            content = stack_of(content)
        if form in WITHOUT_CROWDS:
            rows = [i for i, s in enumerate(content.instances) if not s.crowd]
            counts["crowds-left-out"] += len(content.instances) - len(rows)
            content = content.take(rows)
        return content


def _require_known(content: Content, source: ConversionSource, image: NamedImage) -> None:
    """Refuse classes that are not among those that are known."""
    if source.categories is None:
        return
    known = {entry["id"] for entry in source.categories}
    if isinstance(content, Partition):
        found = {s.category for s in content.segments}
    elif isinstance(content, Stack):
        found = {s.category for s in content.instances}
    else:
        known |= set(source.void)
        found = set(np.unique(content).tolist())
    if strange := found - known:
        text = f"holds the class {min(strange)}, which is not among the classes"
        raise SegevalError(text, file=image.file, key=image.key, remedy="correct it, or give --classes")


def _size(content: Content) -> tuple[int, int]:
    if isinstance(content, Stack):
        return content.runs.height, content.runs.width
    pixels = content.ids if isinstance(content, Partition) else content
    return int(pixels.shape[0]), int(pixels.shape[1])
