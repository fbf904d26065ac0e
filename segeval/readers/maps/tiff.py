"""Reading label maps from TIFF: the stored values, whatever the file says of how they are shown.

Photometric interpretation, colour maps and orientation tell viewers what to do, so none of them is applied. tifffile
reads the structure; the segments are decoded beside. A large page is read some rows of segments at a time.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from segeval.errors import SegevalError
from segeval.readers.maps.png_chunks import most_pixels
from segeval.readers.maps.tiff_segments import BY_PILLOW, DECODED, FAX, FLOATING, HORIZONTAL, JPEG, NONE, Coding
from segeval.readers.protocol import Notes
from segeval.samples.blocks import BlockedMap

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffPage

AGAIN = "write the file again"

LARGE = 2**25
"""Pixels beyond which a page is read by blocks."""

# Pixels of a block, at least.
_BLOCK = 2**22

_KINDS = {1: "u", 2: "i", 3: "f", 4: "u"}
_DEPTHS = {"u": (*range(1, 17), 32, 64), "i": (*range(2, 17), 32, 64), "f": (16, 32, 64)}
_ORIENTATION, _NODATA, _T4 = 274, 42113, 292
_ABSENT = (0, 0)


@dataclass(frozen=True)
class Layout:
    """Where the values of a page are.

    Parameters
    ----------
    page
        Its place among the file's.
    height, width, samples
        Of the page.
    rows, columns
        Of a segment: a tile, or a strip of the page's width.
    tiled, separate
        Whether segments are tiles, and whether each sample has its own.
    places
        The offset and bytes of each segment; an absent one has none.
    coding
        How a segment holds values.
    absent
        The value of absent segments.
    """

    page: int
    height: int
    width: int
    samples: int
    rows: int
    columns: int
    tiled: bool
    separate: bool
    places: tuple[tuple[int, int], ...]
    coding: Coding
    absent: float

    @property
    def across(self) -> int:
        """Segments side by side."""
        return -(-self.width // self.columns)

    @property
    def down(self) -> int:
        """Segments one below another."""
        return -(-self.height // self.rows)

    @property
    def planes(self) -> int:
        """Times that the segments of a sample are repeated."""
        return self.samples if self.separate else 1


def read_tiff(path: Path, notes: Notes | None = None) -> NDArray[Any] | BlockedMap:
    """The stored values of the one image in a TIFF.

    Parameters
    ----------
    path
        The file.
    notes
        Where to leave word of what was not applied.

    Returns
    -------
    map
        (H, W), or (H, W, samples) if there are several; beyond `LARGE` pixels a map that is read by blocks.

    Raises
    ------
    SegevalError
        If the file is damaged, holds several images or what is no label, needs another package, or is larger than
        the limit.
    """
    with _opened(path) as file:
        page = _only_page(file, path, notes)
        layout = _layout(page, path)
        if notes is not None:
            _note(page, layout, path, notes)
    size = (layout.height, layout.width)
    shape = size if layout.samples == 1 else (*size, layout.samples)
    if math.prod(size) > LARGE:
        return BlockedMap(shape, partial(_blocks, path, layout), layout.coding.dtype)
    return next(_blocks(path, layout, layout.down))


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[TiffFile]:
    import tifffile

    try:
        with tifffile.TiffFile(path) as file:
            yield file
    except (SegevalError, OSError):
        raise
    except MemoryError:
        raise SegevalError("does not fit into memory", file=path, remedy="give --workers 1, or free memory") from None
    except Exception as error:
        # A damaged structure fails in tifffile wherever it is met first.
        reason = " ".join(str(error).split())[:100] or type(error).__name__
        raise SegevalError(f"can't be read as {path.suffix.lower()} ({reason})", file=path, remedy=AGAIN) from None


def _only_page(file: TiffFile, path: Path, notes: Notes | None) -> TiffPage:
    """The image at full size; reduced copies and masks of it are passed over."""
    images: list[TiffPage] = []
    reduced = masks = 0
    for frame in file.pages:
        page = frame.aspage()
        if page.is_mask:
            masks += 1
        elif page.is_reduced:
            reduced += 1
        else:
            images.append(page)
            if len(images) > 1:
                break
    if len(images) > 1:
        raise SegevalError(f"holds {len(file.pages)} pages", file=path, remedy="write one page an image")
    if not images:
        raise SegevalError("holds no image at full size", file=path, remedy=AGAIN)
    page = images[0]
    # These pack several images behind one page.
    if page.is_imagej or page.is_shaped or page.is_stk:
        several = file.series[0].size // max(1, math.prod(page.shape))
        if several > 1:
            raise SegevalError(f"holds a stack of {several} images", file=path, remedy="write one page an image")
    reduced += len(page.subifds or ())
    if notes is not None and reduced:
        notes.add("tiff-overviews", "reduced copies of the image (overviews) are passed over", path)
    if notes is not None and masks:
        notes.add("tiff-mask", "a mask of valid pixels is not applied; write void where it is 0", path)
    return page


def _layout(page: TiffPage, path: Path) -> Layout:
    """What the tags say, if all of it can be read."""

    def refuse(what: str, remedy: str) -> SegevalError:
        return SegevalError(what, file=path, remedy=remedy)

    height, width, samples = page.imagelength, page.imagewidth, page.samplesperpixel
    if page.imagedepth != 1 or page.tiledepth != 1:
        raise refuse(f"holds a volume of {page.imagedepth} slices", "write one page an image")
    tiled = 322 in page.tags
    rows, columns = (page.tilelength, page.tilewidth) if tiled else (min(page.rowsperstrip, height), width)
    if min(height, width, samples, rows, columns) < 1:
        raise refuse(f"declares {width}x{height} pixels in segments of {columns}x{rows}", AGAIN)
    separate = page.planarconfig == 2 and samples > 1
    values = max(height * width, rows * columns) * samples
    if values > most_pixels():
        raise refuse(
            f"declares {width}x{height} pixels{f' of {samples} values' * (samples > 1)} (limit {most_pixels()})",
            f"if that is meant, set the environment variable SEGEVAL_MAX_PIXELS={values}",
        )
    coding = _coding(page, 1 if separate else samples, path)
    absent = page.nodata if _NODATA in page.tags else 0
    layout = Layout(page.index, height, width, samples, rows, columns, tiled, separate, (), coding, absent)
    return replace(layout, places=_places(page, layout, path))


def _places(page: TiffPage, layout: Layout, path: Path) -> tuple[tuple[int, int], ...]:
    """Offset and size of each segment."""
    wanted, what = layout.across * layout.down * layout.planes, "tiles" if layout.tiled else "strips"
    offsets, sizes = page.dataoffsets, page.databytecounts
    if not {279, 325} & set(page.tags.keys()):
        if layout.coding.compression != NONE:
            raise SegevalError(f"does not tell the sizes of its {what}", file=path, remedy=AGAIN)
        last = layout.height - (layout.down - 1) * layout.rows
        rows = [layout.rows] * (layout.down - 1) + [layout.rows if layout.tiled else last]
        sizes = tuple(n * layout.coding.stride(layout.columns) for n in rows for _ in range(layout.across))
        sizes *= layout.planes
    if min(len(offsets), len(sizes)) < wanted:
        raise SegevalError(f"lists {min(len(offsets), len(sizes))} of {wanted} {what}", file=path, remedy=AGAIN)
    return tuple(zip(offsets[:wanted], sizes[:wanted], strict=True))


def _coding(page: TiffPage, samples: int, path: Path) -> Coding:
    """How the segments hold values, if they hold what can be a label."""

    def refuse(what: str, remedy: str = "save integers") -> SegevalError:
        return SegevalError(what, file=path, remedy=remedy)

    bits, kind = page.bitspersample, _KINDS.get(page.sampleformat if isinstance(page.sampleformat, int) else 0)
    if isinstance(bits, tuple):
        raise refuse(f"holds samples of {', '.join(map(str, bits))} bits", "give all samples of a pixel one depth")
    if kind is None:
        raise refuse(f"holds complex or mixed values (sample format {page.sampleformat})")
    if bits not in _DEPTHS[kind]:
        raise refuse(f"holds {'floats' if kind == 'f' else 'values'} of {bits} bits", "save 8, 16 or 32 bits")
    predictor, compression = int(page.predictor), int(page.compression)
    if predictor not in (1, HORIZONTAL, FLOATING) or (predictor == FLOATING) > (kind == "f"):
        raise refuse(f"has the predictor {predictor} over {kind}{bits}", "save it without a predictor")
    if predictor != 1 and bits not in (8, 16, 32, 64):
        raise refuse(f"has a predictor over {bits} bits", "save it without a predictor")
    if compression == JPEG and page.samplesperpixel > 1:
        raise refuse("holds colours that JPEG has changed", "save class ids, one sample a pixel, without loss")
    if page.photometric == 6 and page.subsampling not in (None, (1, 1)):
        raise refuse("holds subsampled colours (YCbCr)", "save class ids, one sample a pixel")
    if compression in FAX and bits != 1:
        raise refuse(f"holds {bits} bits a sample under a fax coding of 1", AGAIN)
    if compression not in DECODED:
        _require_codecs(page, path)
    tables, options = page.jpegtables or b"", page.tags.valueof(_T4, 0)
    big = page.parent.byteorder == ">"
    return Coding(compression, predictor, page.fillorder, kind, bits, big, samples, tables, options)


def _require_codecs(page: TiffPage, path: Path) -> None:
    """Refuse a compression that nothing here decodes, by its name."""
    name, again = getattr(page.compression, "name", f"scheme {int(page.compression)}"), "save it with Deflate or LZW"
    if not _has_codecs():
        again = f"pip install imagecodecs, or {again}"
    elif name.isupper() and page.compression != 6:
        return
    raise SegevalError(f"is compressed by {name}", file=path, remedy=again)


def _has_codecs() -> bool:
    try:
        import imagecodecs  # noqa: F401
    except ImportError:
        return False
    return True


def _note(page: TiffPage, layout: Layout, path: Path, notes: Notes) -> None:
    """Leave word of what the file says and the values don't follow."""
    turned = page.tags.valueof(_ORIENTATION, 1)
    if turned != 1:
        notes.add("tiff-orientation", f"the Orientation tag ({turned}) is not applied: rows stay as stored", path)
    if page.compression == JPEG:
        notes.add("lossy", "JPEG does not keep values exactly", path)
    with contextlib.suppress(TypeError, ValueError, AttributeError, OverflowError):
        value = float(page.tags.valueof(_NODATA).strip(" \0").replace(",", "."))
        if value == int(value):
            text = f"GeoTIFF's nodata is {int(value)}, and is scored like any other value"
            notes.add("tiff-nodata", text, path, int(value))
    if _ABSENT in layout.places:
        notes.add("tiff-sparse", f"absent tiles are read as {layout.absent:g}", path)


def _blocks(path: Path, layout: Layout, step: int = 0) -> Iterator[NDArray[Any]]:
    """The values from the top down, `step` rows of segments at a time; the same memory serves them all."""
    step = step or max(1, _BLOCK // (layout.rows * layout.width))
    height = min(step * layout.rows, layout.height)
    with path.open("rb") as stream, contextlib.ExitStack() as stack:
        segments = _Segments(path, stream, layout, stack)
        out = np.empty((height, layout.width, layout.samples), layout.coding.dtype)
        for first in range(0, layout.down, step):
            rows = out[: layout.height - first * layout.rows]
            for down in range(first, min(first + step, layout.down)):
                segments.fill(rows[(down - first) * layout.rows :][: layout.rows], down)
            yield rows[:, :, 0] if layout.samples == 1 else rows


@dataclass(frozen=True)
class _Segments:
    """The strips or tiles of an open file."""

    path: Path
    stream: BinaryIO
    layout: Layout
    stack: contextlib.ExitStack

    def fill(self, rows: NDArray[Any], down: int) -> None:
        """Put a row of segments into the rows that it covers."""
        layout = self.layout
        for plane in range(layout.planes):
            plane_rows = rows[:, :, plane : plane + 1] if layout.separate else rows
            for across in range(layout.across):
                index = (plane * layout.down + down) * layout.across + across
                left = across * layout.columns
                part = plane_rows[:, left : left + layout.columns]
                if layout.places[index] == _ABSENT:
                    part[:] = layout.absent
                else:
                    values = self._values(index, layout.rows if layout.tiled else len(rows))
                    part[:] = values[: part.shape[0], : part.shape[1]]

    def _values(self, index: int, rows: int) -> NDArray[Any]:
        """The values of a segment, (rows, columns, samples)."""
        layout, coding = self.layout, self.layout.coding
        offset, size = layout.places[index]
        end = self.stream.seek(0, 2)
        if offset + size > end:
            raise self._damage(index, f"reaches {offset + size - end} bytes beyond the file's end")
        self.stream.seek(offset)
        data = np.empty(size, np.uint8)
        self.stream.readinto(data)  # type: ignore[attr-defined]
        values = coding.decode(data, rows, layout.columns) if coding.compression in DECODED else None
        if values is None and (coding.compression not in DECODED or coding.compression in BY_PILLOW):
            values = self._by_imagecodecs(index, data)
        if values is None or values.shape[2] != coding.samples:
            raise self._damage(index, "is damaged or ends early")
        return values

    def _damage(self, index: int, what: str) -> SegevalError:
        name = "tile" if self.layout.tiled else "strip"
        again = f"{AGAIN}, or pip install imagecodecs" if self.layout.coding.compression in BY_PILLOW else AGAIN
        extension = self.path.suffix.lower()
        return SegevalError(f"can't be read as {extension} ({name} {index} {what})", file=self.path, remedy=again)

    def _by_imagecodecs(self, index: int, data: NDArray[np.uint8]) -> NDArray[Any] | None:
        if not _has_codecs():
            return None
        try:
            values, _, _ = self._page.decode(data.tobytes(), index, jpegtables=self._page.jpegtables)
        except Exception:  # each codec has errors of its own
            return None
        return None if values is None else np.asarray(values)[0]

    @cached_property
    def _page(self) -> TiffPage:
        file = self.stack.enter_context(_opened(self.path))
        return file.pages[self.layout.page].aspage()
