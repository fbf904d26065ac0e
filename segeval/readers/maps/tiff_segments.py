"""The strips and tiles of TIFF: from compressed bytes to stored values.

LZW, Deflate, PackBits and LZMA are decoded here. Pillow decodes JPEG and WebP by their own readers, and Zstandard and
the fax codings by its libtiff, which gets each segment as a TIFF of its own, a byte a pixel: so it has nothing to
render. The rest needs the package imagecodecs.
"""

from __future__ import annotations

import io
import lzma
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segeval.kernels.decoding.inflate import Inflater
from segeval.readers.protocol import buffer

Bytes = NDArray[np.uint8]

NONE, LZW, DEFLATE, OLD_DEFLATE, PACKBITS, LZMA, ZSTD = 1, 5, 8, 32946, 32773, 34925, 50000
FAX, JPEG, WEBP = (2, 3, 4), 7, 50001
HORIZONTAL, FLOATING = 2, 3

_REVERSED = np.packbits(np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1)[:, ::-1], axis=1)[:, 0]


@dataclass(frozen=True)
class Coding:
    """How the segments of a page hold values.

    Parameters
    ----------
    compression, predictor, fill_order
        The tags' numbers.
    kind, bits
        ``u``, ``i`` or ``f``, and the bits of a sample.
    big
        Whether bytes run from the highest.
    samples
        Samples of a pixel in a segment.
    tables
        What a page's JPEG segments share.
    options
        The tag T4Options of fax codings.
    """

    compression: int
    predictor: int
    fill_order: int
    kind: str
    bits: int
    big: bool
    samples: int
    tables: bytes = b""
    options: int = 0

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of a value in memory."""
        return np.dtype(f"{self.kind}{max(1, 1 << (self.bits - 1).bit_length() >> 3)}")

    def stride(self, width: int) -> int:
        """Bytes of a row."""
        return (width * self.samples * self.bits + 7) // 8

    def decode(self, data: Bytes, rows: int, width: int) -> NDArray[Any] | None:
        """The values of a segment, (rows, width, samples); None if it is damaged or ends early."""
        if self.fill_order == 2:
            data = _REVERSED[data]
        if self.compression in (JPEG, WEBP):
            return self._picture(data, rows, width)
        raw = np.empty(rows * self.stride(width), np.uint8)
        if self.compression in FAX:
            filled = _by_libtiff(data, raw, width, rows, self)
        else:
            filled = _UNPACK[self.compression](data, raw)
        return self._values(raw.reshape(rows, -1), width) if filled else None

    def _values(self, raw: Bytes, width: int) -> NDArray[Any]:
        rows = len(raw)
        if self.predictor == FLOATING:
            raw = _undo_floating(raw, self.samples, self.bits // 8)
        if self.bits % 8:
            return _unpacked(raw, width * self.samples, self).reshape(rows, width, self.samples)
        order = ">" if self.big or self.predictor == FLOATING else "<"
        kind = "u" if self.predictor == HORIZONTAL else self.kind
        stored = raw.view(f"{order}{kind}{self.bits // 8}")
        values = stored.astype(stored.dtype.newbyteorder("="), copy=False).reshape(rows, width, self.samples)
        if self.predictor == HORIZONTAL:
            values = np.add.accumulate(values, axis=1, dtype=values.dtype).view(self.dtype)
        return values

    def _picture(self, data: Bytes, rows: int, width: int) -> NDArray[Any] | None:
        from PIL.JpegImagePlugin import JpegImageFile
        from PIL.WebPImagePlugin import WebPImageFile

        jpeg = self.compression == JPEG
        # The tables end, and the segment begins, with a mark of two bytes that must not stand in between.
        content = self.tables[:-2] + data.tobytes()[2:] if jpeg and self.tables else data.tobytes()
        try:
            with (JpegImageFile if jpeg else WebPImageFile)(io.BytesIO(content)) as image:
                values = np.array(image)
        except (OSError, SyntaxError, ValueError):
            return None
        values = values.reshape(*values.shape[:2], -1)
        fits = values.shape[0] >= rows and values.shape[1] >= width and values.shape[2] == self.samples
        return values[:rows, :width] if fits else None


def _unpacked(raw: Bytes, count: int, coding: Coding) -> NDArray[Any]:
    """Values of less than a byte, or of no whole bytes: from the highest bit on, each row on a byte of its own."""
    bits = coding.bits
    if bits < 8 and 8 % bits == 0:
        shifts = np.arange(8 - bits, -1, -bits, dtype=np.uint8)
        values: NDArray[Any] = (raw[:, :, None] >> shifts & (2**bits - 1)).reshape(len(raw), -1)[:, :count]
    else:
        each = np.unpackbits(raw, axis=1, count=count * bits).reshape(len(raw), count, bits)
        values = each @ (1 << np.arange(bits - 1, -1, -1, dtype=np.int64))
    if coding.kind == "i":
        values = values.astype(np.int64)
        values -= (values >> (bits - 1)) << bits
    return values.astype(coding.dtype)


def _undo_floating(raw: Bytes, samples: int, size: int) -> Bytes:
    """Undo the predictor of floats: differences of bytes, the bytes of a row sorted by their weight."""
    rows = len(raw)
    whole = np.add.accumulate(raw.reshape(rows, -1, samples), axis=1, dtype=np.uint8)
    return np.ascontiguousarray(whole.reshape(rows, size, -1).transpose(0, 2, 1)).reshape(rows, -1)


def _copy(data: Bytes, out: Bytes) -> bool:
    out[:] = data[: out.size] if data.size >= out.size else 0
    return data.size >= out.size


def _inflate(data: Bytes, out: Bytes) -> bool:
    if buffer("inflater", Inflater).inflate(data.data, out):
        return True
    # Some writers give the last strip rows beyond the image.
    try:
        content = zlib.decompressobj().decompress(data.tobytes(), out.size)
    except zlib.error:
        return False
    return _copy(np.frombuffer(content, np.uint8), out)


def _unpack_lzw(data: Bytes, out: Bytes) -> bool:
    from segeval.kernels.decoding.lzw import unpack_lzw

    return unpack_lzw(data, out)


def _unpack_packbits(data: Bytes, out: Bytes) -> bool:
    from segeval.kernels.decoding.lzw import unpack_packbits

    return unpack_packbits(data, out)


def _unpack_lzma(data: Bytes, out: Bytes) -> bool:
    try:
        content = lzma.LZMADecompressor().decompress(data.tobytes(), out.size)
    except lzma.LZMAError:
        return False
    return _copy(np.frombuffer(content, np.uint8), out)


def _unpack_zstd(data: Bytes, out: Bytes) -> bool:
    return _by_libtiff(data, out, out.size, 1, None)


_UNPACK: dict[int, Callable[[Bytes, Bytes], bool]] = {
    NONE: _copy,
    LZW: _unpack_lzw,
    DEFLATE: _inflate,
    OLD_DEFLATE: _inflate,
    PACKBITS: _unpack_packbits,
    LZMA: _unpack_lzma,
    ZSTD: _unpack_zstd,
}

DECODED = (*_UNPACK, *FAX, JPEG, WEBP)
"""The compressions that need no other package."""

BY_PILLOW = (*FAX, JPEG, WEBP, ZSTD)
"""Those of them that a Pillow may have been built without."""


def _by_libtiff(data: Bytes, out: Bytes, width: int, rows: int, fax: Coding | None) -> bool:
    """Have Pillow's libtiff decode a segment: bytes, or the bits of a fax, black being 1 as stored."""
    from PIL.TiffImagePlugin import TiffImageFile

    compression, bits = (ZSTD, 8) if fax is None else (fax.compression, 1)
    tags = [(256, width), (257, rows), (258, bits), (259, compression), (262, 1), (273, 8), (277, 1), (278, rows)]
    tags += [(279, data.size)] + ([] if fax is None or fax.compression != 3 else [(292, fax.options)])
    at = 8 + data.size + data.size % 2
    head, ends = struct.pack("<2sHI", b"II", 42, at), struct.pack("<I", 0)
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    whole = head + data.tobytes() + b"\0" * (data.size % 2) + struct.pack("<H", len(tags)) + entries + ends
    try:
        with TiffImageFile(io.BytesIO(whole)) as image:
            pixels = np.array(image)
    except (OSError, SyntaxError, ValueError):
        return False
    if fax is not None:
        pixels = np.packbits(pixels, axis=1)
    out[:] = pixels.reshape(-1)
    return True
