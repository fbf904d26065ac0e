"""Reading label PNGs: the stored values of any PNG, never its colours.

A label map is data, so what counts is the number in the file: palette indices are not looked up, small greys are not
stretched, 16 bits stay 16 bits, transparency is not applied. Checksums are always checked.
"""

from __future__ import annotations

import functools
import os
import stat
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segeval.errors import SegevalError
from segeval.kernels.decoding.inflate import Inflater, crc32
from segeval.readers.maps.png_chunks import (
    CHANNELS,
    ENCODE_AGAIN,
    HEADER_SIZE,
    Header,
    image_data,
    read_header,
    what_is_wrong,
)
from segeval.storage.mounts import present

# DEFLATE's longest match, 258 bytes, takes two bits at least.
_MOST_EXPANSION = 1032
_LARGE = 2**26


@dataclass(frozen=True)
class PngImage:
    """The stored values of a PNG.

    Attributes
    ----------
    pixels
        (h, w) for greys and palettes, (h, w, channels) otherwise; uint8, or uint16 where the file has 16 bits.
    mode
        "1", "L", "P", "I;16", "LA", "RGB", "RGBA", "LA;16", "RGB;16" or "RGBA;16".
    """

    pixels: NDArray[Any]
    mode: str


class Scratch:
    """Buffers that decoding reuses, one set per thread: the pixels of one image live until the next is decoded.

    Fresh memory costs more to touch than a label map costs to inflate.
    """

    __slots__ = ("_buffers", "inflater")

    def __init__(self) -> None:
        _keep_heap()
        self.inflater = Inflater()
        self._buffers: dict[str, NDArray[np.uint8]] = {}

    def __reduce__(self) -> tuple[type[Scratch], tuple[()]]:
        return Scratch, ()

    def take(self, name: str, size: int) -> NDArray[np.uint8]:
        """At least `size` bytes; what the buffer of this name held before is lost."""
        buffer = self._buffers.get(name)
        if buffer is None or buffer.size < size:
            buffer = self._buffers[name] = np.empty(size, np.uint8)
        return buffer


def read_png(path: str | os.PathLike[str], *, scratch: Scratch | None = None, limit: int | None = None) -> PngImage:
    """Read the stored values of a PNG file.

    Parameters
    ----------
    path
        The file.
    scratch
        Buffers to reuse; the pixels then live until the next decoding with the same scratch. Without it the result
        owns its memory.
    limit
        The most pixels admitted, before anything is inflated; by default the environment variable SEGEVAL_MAX_PIXELS,
        else 2^28.

    Returns
    -------
    image
        Palette indices, greys and channels as stored.

    Raises
    ------
    SegevalError
        Unreadable, not a PNG, truncated, damaged, or larger than the limit.
    """
    file = os.fspath(path)
    return decode_png(_contents(file, limit), file=file, scratch=scratch, limit=limit)


def decode_png(
    data: bytes | bytearray | memoryview, *, file: str, scratch: Scratch | None = None, limit: int | None = None
) -> PngImage:
    """Decode the stored values of a PNG in memory.

    Parameters
    ----------
    data
        The PNG.
    file
        What error messages name.
    scratch, limit
        As for :func:`read_png`.

    Returns
    -------
    image
        Palette indices, greys and channels as stored.

    Raises
    ------
    SegevalError
        Not a PNG, truncated, damaged, or larger than the limit.
    """
    from segeval.kernels.decoding import png as kernels  # here, because numba takes long to load

    view = memoryview(data)
    header = read_header(view, file, limit)
    compressed = image_data(view, header, file)
    scratch = scratch or Scratch()
    try:
        raw = _inflate(compressed, header.raw_size(), scratch, file)
        if header.interlaced or header.depth < 8:
            pixels = _unusual(raw, header, scratch, file)
        else:
            stride = header.stride(header.width)
            pixels = _plain(raw, header, header.width, header.height, scratch, file)
            if header.depth == 16:
                pixels = pixels.view(np.uint16)
                if sys.byteorder == "little":
                    kernels.swap_bytes(pixels.reshape(-1))
            channels = CHANNELS[header.colour]
            shape = (header.height, stride * 8 // header.bits)
            pixels = pixels.reshape(shape if channels == 1 else (*shape, channels))
    except MemoryError:
        raise SegevalError(
            f"an image of {header.width} x {header.height} pixels does not fit into memory", file=file
        ) from None
    return PngImage(pixels, header.mode)


def crc_of(array: NDArray[Any]) -> int:
    """The CRC-32 of the bytes of a C-contiguous array."""
    return crc32(array)


@functools.cache
def _keep_heap() -> None:
    """Make glibc keep freed blocks of up to 32 MiB, which else go back and are faulted in again for each image.

    It keeps blocks smaller than the largest mapped block freed so far, so one is freed here; it is never touched, so
    it costs nothing. Other allocators take no notice.
    """
    np.empty(2**25 - 2**16, np.uint8)


def _contents(file: str, limit: int | None) -> bytes:
    present(file)
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        handle = os.open(file, flags)
        try:
            status = os.fstat(handle)
            if not stat.S_ISREG(status.st_mode):
                raise SegevalError("not a regular file", file=file, remedy="give a PNG file")
            parts = []
            if status.st_size > _LARGE:
                parts.append(_plausible_head(handle, status.st_size, file, limit))
            while part := os.read(handle, status.st_size + 1):
                parts.append(part)
                if len(part) >= status.st_size:
                    break
        finally:
            os.close(handle)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        remedy = "check the path and its permissions"
        raise SegevalError(f"cannot be read: {reason}", file=file, remedy=remedy) from None
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _plausible_head(handle: int, size: int, file: str, limit: int | None) -> bytes:
    """The head of a large file, checked before the rest is read."""
    head = os.read(handle, HEADER_SIZE)
    header = read_header(memoryview(head), file, limit)
    if size > 2 * header.raw_size() + _LARGE:
        pixels = f"{header.width} x {header.height} pixels"
        raise SegevalError(f"the file has {size} bytes, far too many for {pixels}", file=file, remedy=ENCODE_AGAIN)
    return head


def _inflate(compressed: memoryview | bytes, size: int, scratch: Scratch, file: str) -> NDArray[np.uint8]:
    """The filtered rows, and the bytes after them that the kernels want."""
    from segeval.kernels.decoding import png as kernels  # here, because numba takes long to load

    if size <= len(compressed) * _MOST_EXPANSION:
        raw = scratch.take("raw", size + kernels.PADDING)
        if scratch.inflater.inflate(compressed, raw[:size]):
            return raw
    raise SegevalError(what_is_wrong(compressed, size), file=file, remedy=ENCODE_AGAIN)


def _plain(
    raw: NDArray[np.uint8], header: Header, width: int, height: int, scratch: Scratch, file: str
) -> NDArray[np.uint8]:
    """Unfiltered bytes, (height, stride)."""
    from segeval.kernels.decoding import png as kernels  # here, because numba takes long to load

    stride = header.stride(width)
    lead = kernels.lead_of(stride)
    out = scratch.take("pixels", lead + height * stride + kernels.PADDING)
    row = kernels.unfilter(raw, out, height, stride, max(1, header.bits // 8))
    if row >= 0:
        raise SegevalError(f"row {row} has a filter that PNG does not know", file=file, remedy=ENCODE_AGAIN)
    return out[lead : lead + height * stride].reshape(height, stride)


def _unusual(raw: NDArray[np.uint8], header: Header, scratch: Scratch, file: str) -> NDArray[Any]:
    """Interlaced images, and those with several pixels in a byte."""
    channels = CHANNELS[header.colour]
    kind = np.uint16 if header.depth == 16 else np.uint8
    pixels = np.empty((header.height, header.width, channels), kind)
    start = 0
    for x, y, right, down in header.passes():
        width, height = -(-(header.width - x) // right), -(-(header.height - y) // down)
        rows = _plain(raw[start:], header, width, height, scratch, file)
        if header.depth == 16:
            values: NDArray[Any] = rows.view(">u2")
        elif header.depth == 8:
            values = rows
        else:
            # The leftmost pixel is in the highest bits.
            shifts = np.arange(8 - header.depth, -1, -header.depth, dtype=np.uint8)
            values = (rows[:, :, None] >> shifts & (2**header.depth - 1)).reshape(height, -1)[:, :width]
        pixels[y::down, x::right] = values.reshape(height, width, channels)
        start += height * (1 + header.stride(width))
    return pixels[:, :, 0] if channels == 1 else pixels
