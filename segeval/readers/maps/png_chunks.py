"""The container of PNG: its header, its chunks and their checksums (PNG specification, sections 5 and 11)."""

from __future__ import annotations

import os
import struct
import zlib
from typing import NamedTuple

import deflate

from segeval.errors import SegevalError

MOST_PIXELS = 2**28
"""Pixels admitted where neither an argument nor the environment variable SEGEVAL_MAX_PIXELS says otherwise."""

HEADER_SIZE = 33
"""Bytes of a file that tell the size of its image."""

ENCODE_AGAIN = "write the file again"
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Samples of a pixel by colour type."""

_IHDR = struct.Struct(">IIBBBBB")
_CHUNK = struct.Struct(">I4s")
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_BEGINNING = _SIGNATURE + b"\0\0\0\rIHDR"
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_MODES = {0: "L", 2: "RGB", 3: "P", 4: "LA", 6: "RGBA"}
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


class Header(NamedTuple):
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
        return self.depth * CHANNELS[self.colour]

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
        if not self.interlaced:
            return self.height * (1 + self.stride(self.width))
        return sum(
            -(-(self.height - y) // down) * (1 + self.stride(-(-(self.width - x) // right)))
            for x, y, right, down in self.passes()
        )


def read_header(view: memoryview, file: str, limit: int | None) -> Header:
    if view[:16] != _BEGINNING or len(view) < HEADER_SIZE:
        raise _no_png(bytes(view[:16]), file)
    if deflate.crc32(view[12:29]) != int.from_bytes(view[29:33]):
        raise _bad_checksum("IHDR", file)
    width, height, depth, colour, compression, filters, interlace = _IHDR.unpack_from(view, 16)
    if not 0 < width < 2**31 or not 0 < height < 2**31:
        raise SegevalError(f"the PNG declares {width} x {height} pixels", file=file, remedy=ENCODE_AGAIN)
    if depth not in _DEPTHS.get(colour, ()) or compression or filters or interlace > 1:
        raise SegevalError(
            f"the PNG declares bit depth {depth}, colour type {colour}, compression {compression}, filter {filters}, "
            f"interlace {interlace}, which the format does not know",
            file=file,
            remedy=ENCODE_AGAIN,
        )
    most = most_pixels() if limit is None else limit
    header = Header(width, height, depth, colour, interlace == 1)
    if width * height > most:
        raise SegevalError(
            f"the PNG declares {width} x {height} pixels, and at most {most} are admitted",
            file=file,
            remedy="if the image is really that large, set the environment variable SEGEVAL_MAX_PIXELS or give limit=",
        )
    return header


def most_pixels() -> int:
    """The largest image that is read: SEGEVAL_MAX_PIXELS, or `MOST_PIXELS`."""
    text = os.environ.get("SEGEVAL_MAX_PIXELS")
    if not text:
        return MOST_PIXELS
    try:
        return int(text)
    except ValueError:
        raise SegevalError(
            f"the environment variable SEGEVAL_MAX_PIXELS is {text!r}", remedy="give a whole number of pixels"
        ) from None


def image_data(view: memoryview, header: Header, file: str) -> memoryview | bytes:
    """The contents of all IDAT chunks; every chunk's checksum and order is checked on the way."""
    parts: list[memoryview] = []
    palette = closed = False
    position, size = HEADER_SIZE, len(view)
    while True:
        if position + 12 > size:
            raise _truncated(file)
        length, kind = _CHUNK.unpack_from(view, position)
        end = position + 12 + length
        if end > size:
            raise _truncated(file)
        if deflate.crc32(view[position + 4 : end - 4]) != int.from_bytes(view[end - 4 : end]):
            raise _bad_checksum(kind.decode("latin-1"), file)
        if kind == b"IDAT":
            if closed:
                raise SegevalError("the IDAT chunks are not consecutive", file=file, remedy=ENCODE_AGAIN)
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
                    remedy=ENCODE_AGAIN,
                )
        position = end
    if not parts:
        raise SegevalError("the PNG holds no image (no IDAT chunk)", file=file, remedy=ENCODE_AGAIN)
    if header.colour == 3 and not palette:
        raise SegevalError("the palette PNG has no palette", file=file, remedy=ENCODE_AGAIN)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def what_is_wrong(compressed: memoryview | bytes, size: int) -> str:
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


def _no_png(beginning: bytes, file: str) -> SegevalError:
    if not beginning:
        return SegevalError("the file is empty", file=file, remedy=ENCODE_AGAIN)
    if beginning[:8] != _SIGNATURE[: len(beginning)]:
        return SegevalError("not a PNG", file=file, remedy="convert the image to PNG, whatever the file is called")
    if beginning != _BEGINNING[: len(beginning)]:
        return SegevalError("the PNG does not begin with an IHDR chunk of 13 bytes", file=file, remedy=ENCODE_AGAIN)
    return _truncated(file)


def _truncated(file: str) -> SegevalError:
    return SegevalError("the PNG is truncated", file=file, remedy="copy or write the file again")


def _bad_checksum(kind: str, file: str) -> SegevalError:
    return SegevalError(f"the checksum of chunk {kind!r} is wrong", file=file, remedy="copy or write the file again")
