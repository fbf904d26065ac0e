"""A chunk of images read and counted by compiled code, where both sides are plain PNGs of this machine.

What that code does not take (another format, another depth, anything damaged or absent) is loaded in the ordinary way,
image by image: with the same result, and the same words for what is wrong.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segeval.readers.coco.instances import CocoResults
from segeval.readers.coco.panoptic import CocoPanoptic
from segeval.readers.fetching import FetchedPairs
from segeval.readers.maps.labels import LabelFolder
from segeval.readers.maps.png import Scratch
from segeval.readers.maps.png_chunks import most_pixels
from segeval.readers.pairing import PairedSource
from segeval.readers.protocol import Source, buffer
from segeval.samples.pairs import CountedOverlaps, Key, Pair
from segeval.samples.panoptic import PanopticMap, segments_of_images

# Rows that are kept before they are handed on; one image has 65,536 at most.
_ROWS = 2**17
# Larger files are read in the ordinary way, which looks at their head first.
_LARGEST_FILE = 2**26


def pairs_of(source: Source, keys: Sequence[Key], metric: Any) -> Iterator[Pair]:
    """Images of a source in turn, counted already where that is possible and enough for the metric.

    Parameters
    ----------
    source
        The images.
    keys
        Those that are wanted.
    metric
        Has an attribute `takes_counts` that is true if `CountedOverlaps` may stand in place of pixels.

    Raises
    ------
    SegevalError
        As the source's `load`.
    """
    if getattr(metric, "takes_counts", False) and isinstance(source, PairedSource):
        from segeval.kernels.decoding.c_calls import ADDRESSES

        plain = ADDRESSES is not None and not isinstance(source, FetchedPairs)
        if plain and isinstance(source.truth, LabelFolder) and isinstance(source.prediction, LabelFolder):
            return _counted_labels(source, keys)
        sides = (source.truth, source.prediction)
        if plain and all(isinstance(side, CocoPanoptic) and not any(side.void) for side in sides):
            return _counted_colours(source, keys)
    if type(source) is PairedSource and isinstance(results := source.prediction, CocoResults):
        return results.pairs(keys)
    return (source.load(key) for key in keys)


class _Room:
    """What one thread counts in, used again from chunk to chunk; it grows to the largest image."""

    def __init__(self) -> None:
        self.table = np.zeros(2**16, np.int64)
        self.rows, self.pixels = np.empty((2, _ROWS), np.int64), np.empty(_ROWS, np.int64)
        self.facts = np.zeros((2, 9), np.int64)
        # Pages that are never touched are none.
        self.sizes = {"file": 2**20, "raw": 2**22, "truth": 2**22, "prediction": 2**22}

    def buffers(self) -> list[NDArray[np.uint8]]:
        """For a file, its filtered rows, and the pixels of both sides; the last two are those of ordinary reading."""
        truth, prediction = buffer("truth", Scratch), buffer("prediction", Scratch)
        return [
            truth.take("file", self.sizes["file"]),
            truth.take("raw", self.sizes["raw"]),
            truth.take("pixels", self.sizes["truth"]),
            prediction.take("pixels", self.sizes["prediction"]),
        ]

    def grow(self, files: Sequence[str]) -> bool:
        """Make room for what an image was found to need; False where it is better read in the ordinary way."""
        from segeval.kernels.counting import png_files as kernels

        for path, facts in zip(files, self.facts, strict=True):
            if facts[kernels.FILE]:
                try:
                    status = Path(path).stat()
                except OSError:
                    return False
                if not stat.S_ISREG(status.st_mode) or status.st_size > _LARGEST_FILE:
                    return False
                self.sizes["file"] = max(self.sizes["file"], status.st_size + 1)
        wanted = {
            "raw": self.facts[:, kernels.RAW].max(),
            "truth": self.facts[0, kernels.OUT],
            "prediction": self.facts[1, kernels.OUT],
        }
        before = dict(self.sizes)
        for name, size in wanted.items():
            self.sizes[name] = max(self.sizes[name], int(size))
        try:
            self.buffers()
        except MemoryError:
            self.sizes.update(before)  # the next images may be small
            return False
        return True


def _counted_labels(source: PairedSource, keys: Sequence[Key]) -> Iterator[Pair]:
    files = [source.files(key) for key in keys]
    for key, names, counted in zip(keys, files, _counted(files, colours=False), strict=True):
        yield source.load(key) if counted is None else Pair(key, counted, None, *names)


def _counted_colours(source: PairedSource, keys: Sequence[Key]) -> Iterator[Pair]:
    sides = [
        segments_of_images([reader.entries[key]["segments_info"] for key in keys if key in reader.entries])
        for reader in (source.truth, source.prediction)
        if isinstance(reader, CocoPanoptic)
    ]
    files = [source.files(key) for key in keys]
    if any(side is None or len(side) < len(keys) for side in sides):
        yield from map(source.load, keys)
        return
    for i, (key, names, counted) in enumerate(zip(keys, files, _counted(files, colours=True), strict=True)):
        if counted is None:
            yield source.load(key)
        else:
            truth, prediction = (PanopticMap(counted, side[i]) for side in sides if side is not None)
            yield Pair(key, truth, prediction, *names)


def _counted(files: Sequence[tuple[str, ...]], *, colours: bool) -> Iterator[CountedOverlaps | None]:
    """For each pair of files in turn what overlaps in it, or None where it has to be read in the ordinary way."""
    from segeval.kernels.counting import overlap
    from segeval.kernels.counting import png_files as kernels
    from segeval.kernels.decoding.c_calls import ADDRESSES

    room = buffer("counting", _Room)
    paths, begins = _paths(files)
    about = np.zeros((len(files), 5), np.int64)
    # Sizes in bytes stay far below 2^63 this way, whatever limit was set.
    inflater, most = buffer("truth", Scratch).inflater, min(most_pixels(), 2**40)
    first = 0
    while first < len(files):
        room.facts[:] = 0
        given = (ADDRESSES, inflater.handle, paths, begins, first, most, *room.buffers(), room.facts, about)
        if colours:
            stop = kernels.count_colours(*given, overlap.COLOURS, room.rows[0].view(np.uint64), room.pixels)
        else:
            stop = kernels.count_labels(*given, room.table, room.rows, room.pixels)
        yield from _images(about[first:stop], room, colours)
        if stop < len(files) and not room.grow(files[stop]):
            yield None
            stop += 1
        first = stop


def _images(about: NDArray[np.int64], room: _Room, colours: bool) -> Iterator[CountedOverlaps | None]:
    """Each image's part of what was counted in one call."""
    used = int(about[-1, -1]) if len(about) else 0
    truth, prediction = room.rows[:, :used].copy()
    pixels = room.pixels[:used].copy()
    if colours:
        keys = truth.view(np.uint64)
        image = np.repeat(np.arange(len(about)), np.diff(about[:, -1], prepend=0))
        order = np.lexsort((keys, image))
        keys, pixels = keys[order], pixels[order]
        truth, prediction = (keys >> np.uint64(32)).astype(np.int64), keys.astype(np.uint32).astype(np.int64)
    begin = 0
    for status, height, width, crc, end in about.tolist():
        if status:
            yield None
        else:
            yield CountedOverlaps((height, width), crc, truth[begin:end], prediction[begin:end], pixels[begin:end])
        begin = end


def _paths(files: Sequence[tuple[str, ...]]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The paths of pairs of PNGs as C reads them; those of other files, and names that C can't read, are empty."""
    text: list[bytes] = []
    for names in files:
        plain = len(names) == 2 and all(name[-4:].lower() == ".png" for name in names)
        try:
            both = [os.fsencode(name) for name in names] if plain else []
        except UnicodeEncodeError:
            both = []
        text += [b"", b""] if not both or b"\0" in both[0] + both[1] else both
    begins = np.cumsum([0, *(len(path) + 1 for path in text)], dtype=np.int64)
    return np.frombuffer(bytearray(b"\0".join(text) + b"\0"), np.uint8), begins
