"""Reading label PNGs: the stored values of any PNG, never its colours.

A label map is data, so what counts is the number in the file: palette indices are not looked up, small greys are not
stretched, 16 bits stay 16 bits, transparency is not applied. Checksums are always checked.
"""

from __future__ import annotations

import os
import stat
import sys
import zlib
from dataclasses import dataclass
from typing import Any, NamedTuple

import deflate
import numpy as np
from numpy.typing import NDArray

from segeval.errors import SegevalError
from segeval.kernels.png import PADDING, lead_of, swap_bytes, unfilter

MOST_PIXELS = 2**28
"""Pixels admitted where neither an argument nor the environment variable SEGEVAL_MAX_PIXELS says otherwise."""

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_ENCODE_AGAIN = "write the file again"
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_MODES = {0: "L", 2: "RGB", 3: "P", 4: "LA", 6: "RGBA"}
# DEFLATE's longest match, 258 bytes, takes two bits at least.
_MOST_EXPANSION = 1032
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
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
    """A buffer that decoding reuses, one per thread: the pixels of one image live until the next is decoded.

    Fresh memory costs more to touch than a label map costs to inflate.
    """

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        self._buffer = np.empty(0, np.uint8)
        _keep_heap()

    def take(self, size: int) -> NDArray[np.uint8]:
        """A buffer of at least `size` bytes; what it held before is lost."""
        if self._buffer.size < size:
            self._buffer = np.empty(size, np.uint8)
        return self._buffer


class _Header(NamedTuple):
    width: int
    height: int
    depth: int
    colour: int
    interlaced: bool

    @property
    def mode(self) -> str:
        if self.colour == 0 and self.depth in (1, 16):
            return "1" if self.depth == 1 else "I;16"
        return _MODES[self.colour] + (";16" if self.depth == 16 else "")

    @property
    def bits(self) -> int:
        """Bits of a pixel."""
        return self.depth * _CHANNELS[self.colour]

    def stride(self, width: int) -> int:
        """Bytes of a row of `width` pixels."""
        return (width * self.bits + 7) // 8

    def passes(self) -> list[tuple[int, int, int, int]]:
        """The first column, first row, column step and row step of each pass that has pixels."""
        if not self.interlaced:
            return [(0, 0, 1, 1)]
        return [p for p in _PASSES if p[0] < self.width and p[1] < self.height]

    def raw_size(self) -> int:
        """Bytes of the filtered rows."""
        return sum(
            -(-(self.height - y) // down) * (1 + self.stride(-(-(self.width - x) // right)))
            for x, y, right, down in self.passes()
        )


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
    view = memoryview(data)
    header = _header(view, file, limit)
    compressed = _compressed(view, header, file)
    try:
        raw = _inflate(compressed, header.raw_size(), file)
        if header.interlaced or header.depth < 8:
            pixels = _unusual(raw, header, file)
        else:
            stride = header.stride(header.width)
            pixels = _plain(raw, header, header.width, header.height, scratch, file)
            if header.depth == 16:
                pixels = pixels.view(np.uint16)
                if sys.byteorder == "little":
                    swap_bytes(pixels.reshape(-1))
            channels = _CHANNELS[header.colour]
            shape = (header.height, stride * 8 // header.bits)
            pixels = pixels.reshape(shape if channels == 1 else (*shape, channels))
    except MemoryError:
        raise SegevalError(
            f"an image of {header.width} x {header.height} pixels does not fit into memory", file=file
        ) from None
    return PngImage(pixels, header.mode)


def crc_of(array: NDArray[Any]) -> int:
    """The CRC-32 of the bytes of a C-contiguous array."""
    return int(deflate.crc32(array.reshape(-1).view(np.uint8)))


def _contents(file: str, limit: int | None) -> bytes:
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        handle = os.open(file, flags)
        try:
            status = os.fstat(handle)
            if not stat.S_ISREG(status.st_mode):
                raise SegevalError("not a regular file", file=file, remedy="give a PNG file")
            parts = []
            if status.st_size > _LARGE:
                # A look at the head before so much is read.
                parts.append(os.read(handle, 33))
                _header(memoryview(parts[0]), file, limit)
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


def _header(view: memoryview, file: str, limit: int | None) -> _Header:
    if len(view) == 0:
        raise SegevalError("the file is empty", file=file, remedy=_ENCODE_AGAIN)
    if bytes(view[:8]) != _SIGNATURE[: len(view)]:
        raise SegevalError("not a PNG", file=file, remedy="convert the image to PNG, whatever the file is called")
    if len(view) < 33:
        raise _truncated(file)
    if bytes(view[8:16]) != b"\0\0\0\rIHDR":
        raise SegevalError("the PNG does not begin with an IHDR chunk of 13 bytes", file=file, remedy=_ENCODE_AGAIN)
    if deflate.crc32(view[12:29]) != int.from_bytes(view[29:33]):
        raise _bad_checksum("IHDR", file)
    width, height = int.from_bytes(view[16:20]), int.from_bytes(view[20:24])
    depth, colour, compression, filters, interlace = view[24:29]
    if not 0 < width < 2**31 or not 0 < height < 2**31:
        raise SegevalError(f"the PNG declares {width} x {height} pixels", file=file, remedy=_ENCODE_AGAIN)
    if depth not in _DEPTHS.get(colour, ()) or compression or filters or interlace > 1:
        raise SegevalError(
            f"the PNG declares bit depth {depth}, colour type {colour}, compression {compression}, filter {filters}, "
            f"interlace {interlace}, which the format does not know",
            file=file,
            remedy=_ENCODE_AGAIN,
        )
    most = _most_pixels() if limit is None else limit
    header = _Header(width, height, depth, colour, interlace == 1)
    if width * height > most or header.raw_size() >= 2**32:
        raise SegevalError(
            f"the PNG declares {width} x {height} pixels, and at most {most} are admitted",
            file=file,
            remedy="if the image is really that large, set the environment variable SEGEVAL_MAX_PIXELS or give limit=",
        )
    return header


def _most_pixels() -> int:
    text = os.environ.get("SEGEVAL_MAX_PIXELS")
    if text is None:
        return MOST_PIXELS
    try:
        return int(text)
    except ValueError:
        raise SegevalError(
            f"the environment variable SEGEVAL_MAX_PIXELS is {text!r}", remedy="give a whole number of pixels"
        ) from None


def _compressed(view: memoryview, header: _Header, file: str) -> memoryview | bytes:
    """The contents of all IDAT chunks; every chunk's checksum and order is checked on the way."""
    parts: list[memoryview] = []
    palette = closed = False
    position, size = 33, len(view)
    while True:
        if position + 12 > size:
            raise _truncated(file)
        length = int.from_bytes(view[position : position + 4])
        end = position + 12 + length
        if end > size:
            raise _truncated(file)
        kind = bytes(view[position + 4 : position + 8])
        if deflate.crc32(view[position + 4 : end - 4]) != int.from_bytes(view[end - 4 : end]):
            raise _bad_checksum(kind.decode("latin-1"), file)
        if kind == b"IDAT":
            if closed:
                raise SegevalError("the IDAT chunks are not consecutive", file=file, remedy=_ENCODE_AGAIN)
            parts.append(view[position + 8 : end - 4])
        elif kind == b"IEND":
            break
        else:
            closed = bool(parts)
            palette = palette or kind == b"PLTE"
            if not kind[0] & 32 and kind != b"PLTE":
                raise SegevalError(
                    f"the PNG has a critical chunk {kind.decode('latin-1')!r} that the format does not know",
                    file=file,
                    remedy=_ENCODE_AGAIN,
                )
        position = end
    if not parts:
        raise SegevalError("the PNG holds no image (no IDAT chunk)", file=file, remedy=_ENCODE_AGAIN)
    if header.colour == 3 and not palette:
        raise SegevalError("the palette PNG has no palette", file=file, remedy=_ENCODE_AGAIN)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _inflate(compressed: memoryview | bytes, size: int, file: str) -> bytearray:
    if size <= len(compressed) * _MOST_EXPANSION:
        try:
            raw: bytearray = deflate.zlib_decompress(compressed, size)
        except deflate.DeflateError:
            pass
        else:
            if len(raw) == size:
                return raw
    raise SegevalError(_what_is_wrong(compressed, size), file=file, remedy=_ENCODE_AGAIN)


def _what_is_wrong(compressed: memoryview | bytes, size: int) -> str:
    """Why the compressed rows do not inflate to `size` bytes; slow, for the message only."""
    stream = zlib.decompressobj()
    got, chunk = 0, bytes(compressed)
    try:
        while chunk and not stream.eof and got <= size:
            got += len(stream.decompress(chunk, 2**20))
            chunk = stream.unconsumed_tail
        if got <= size and not stream.eof:
            got += len(stream.decompress(b"", 2**20))
    except zlib.error as error:
        return f"the compressed image is damaged ({error})"
    if got > size:
        return f"the image data are longer than the {size} bytes that the declared size needs"
    if not stream.eof:
        return f"the image data end early: {got} bytes of {size}"
    return f"the image data are {got} bytes, but the declared size needs {size}"


def _plain(
    raw: bytearray | memoryview, header: _Header, width: int, height: int, scratch: Scratch | None, file: str
) -> NDArray[np.uint8]:
    """Unfiltered bytes, (height, stride)."""
    stride = header.stride(width)
    lead = lead_of(stride)
    size = lead + height * stride + PADDING
    out = np.empty(size, np.uint8) if scratch is None else scratch.take(size)
    row = unfilter(np.frombuffer(raw, np.uint8), out, height, stride, max(1, header.bits // 8))
    if row >= 0:
        raise SegevalError(f"row {row} has a filter that PNG does not know", file=file, remedy=_ENCODE_AGAIN)
    return out[lead : lead + height * stride].reshape(height, stride)


def _unusual(raw: bytearray, header: _Header, file: str) -> NDArray[Any]:
    """Interlaced images, and those with several pixels in a byte."""
    channels = _CHANNELS[header.colour]
    kind = np.uint16 if header.depth == 16 else np.uint8
    pixels = np.empty((header.height, header.width, channels), kind)
    view, start = memoryview(raw), 0
    for x, y, right, down in header.passes():
        width, height = -(-(header.width - x) // right), -(-(header.height - y) // down)
        end = start + height * (1 + header.stride(width))
        rows = _plain(view[start:end], header, width, height, None, file)
        if header.depth == 16:
            values: NDArray[Any] = rows.view(">u2")
        elif header.depth == 8:
            values = rows
        else:
            # The leftmost pixel is in the highest bits.
            shifts = np.arange(8 - header.depth, -1, -header.depth, dtype=np.uint8)
            values = (rows[:, :, None] >> shifts & (2**header.depth - 1)).reshape(height, -1)[:, :width]
        pixels[y::down, x::right] = values.reshape(height, width, channels)
        start = end
    return pixels[:, :, 0] if channels == 1 else pixels


def _keep_heap() -> None:
    """Make glibc keep freed blocks of up to 32 MiB instead of returning them, to be faulted in again, every time.

    It does so for blocks below the size of the largest mapped block freed so far, so one is freed here (untouched, so
    it costs nothing); elsewhere this has no effect.
    """
    bytearray(2**25 - 2**16)


def _truncated(file: str) -> SegevalError:
    return SegevalError("the PNG is truncated", file=file, remedy="copy or write the file again")


def _bad_checksum(kind: str, file: str) -> SegevalError:
    return SegevalError(f"the checksum of chunk {kind!r} is wrong", file=file, remedy="copy or write the file again")
