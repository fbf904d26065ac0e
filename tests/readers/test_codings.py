"""One label map in every coding that is read: the same array comes back from each."""

from __future__ import annotations

import io
import itertools
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from segeval.readers.maps.labels import read_labels
from tests.given.tiffs import DEFLATE, packed, tiff_bytes

Write = Callable[[Any], bytes]

_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def png(array: Any, depth: int, colour: int, interlaced: bool) -> bytes:
    """A PNG of one channel by hand: grey (0) or indices (3), without filters."""
    height, width = array.shape
    rows = b""
    for x, y, right, down in _PASSES if interlaced else ((0, 0, 1, 1),):
        part = array[y::down, x::right]
        if part.size:
            raw = packed(part, depth) if depth < 16 else part.astype(">u2").tobytes()
            stride = len(raw) // len(part)
            rows += b"".join(b"\0" + raw[k : k + stride] for k in range(0, len(raw), stride))
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, int(interlaced)))]
    chunks += [(b"PLTE", bytes(range(3, 3 + 2)) + bytes(3 * 2**depth - 2))] if colour == 3 else []
    chunks += [(b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )


def npy(array: Any, kind: str, order: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.array(array, dtype=kind, order=order))
    return stream.getvalue()


def npz(array: Any, save: Any, **others: Any) -> bytes:
    stream = io.BytesIO()
    save(stream, labels=array, **others)
    return stream.getvalue()


def by_tifffile(array: Any, **how: Any) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, array, photometric="minisblack", **how)
    return stream.getvalue()


def by_pillow(array: Any, form: str, **how: Any) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, form, **how)
    return stream.getvalue()


def codings() -> Iterator[tuple[str, str, int, Write]]:
    """Name, extension, the largest value that it holds, and how it is written."""
    for depth, colour, interlaced in itertools.product((1, 2, 4, 8, 16), (0, 3), (False, True)):
        if colour == 0 or depth < 16:
            name = f"PNG {'palette' if colour else 'grey'} {depth}{' interlaced' if interlaced else ''}"
            yield name, ".png", 2**depth - 1, lambda a, d=depth, c=colour, i=interlaced: png(a, d, c, i)
    for kind, order in itertools.product(("|u1", "|i1", "<u2", ">u2", "<i4", ">i4", "<u4", "<i8", ">i8"), "CF"):
        yield f"NPY {kind} {order}", ".npy", np.iinfo(kind).max, lambda a, k=kind, o=order: npy(a, k, o)
    yield "NPY bool", ".npy", 1, lambda a: npy(a, "?", "C")
    yield "NPY float", ".npy", 2**16, lambda a: npy(a, "<f8", "F")
    yield "NPZ", ".npz", 2**32, lambda a: npz(a, np.savez)
    yield "NPZ compressed", ".npz", 2**32, lambda a: npz(a, np.savez_compressed, other=np.zeros(3))
    for bits, compression, big, rows in itertools.product((1, 2, 4, 8), (1, DEFLATE), (False, True), (None, 3)):
        how: dict[str, Any] = {"bits": bits, "compression": compression, "big": big, "rows": rows, "photometric": 0}
        yield f"TIFF {how}", ".tif", 2**bits - 1, lambda a, h=how: tiff_bytes(a.astype(np.uint8), **h)
    for kind, compression, order, tile in itertools.product(
        ("u1", "u2", "u4", "i2", "i8"), (None, "zlib", "lzma"), "<>", (None, (16, 32))
    ):
        how = {"compression": compression, "byteorder": order, "tile": tile}
        most = np.iinfo(kind).max
        yield f"TIFF {kind} {how}", ".tif", most, lambda a, k=kind, h=how: by_tifffile(a.astype(k), **h)
    yield "TIFF float", ".tif", 2**16, lambda a: by_tifffile(a.astype("f4"))
    yield "BigTIFF", ".tiff", 2**16 - 1, lambda a: by_tifffile(a.astype("u2"), bigtiff=True)
    for compression in ("tiff_lzw", "packbits", "zstd", "lzma"):
        yield (
            f"TIFF {compression}",
            ".tif",
            255,
            lambda a, c=compression: by_pillow(a.astype("u1"), "TIFF", compression=c),
        )
    yield "TIFF fax", ".tif", 1, lambda a: by_pillow(a.astype(bool), "TIFF", compression="group4")
    yield "BMP", ".bmp", 255, lambda a: by_pillow(a.astype("u1"), "BMP")
    yield "BMP 1", ".bmp", 1, lambda a: by_pillow(a.astype(bool), "BMP")
    yield "GIF", ".gif", 255, lambda a: by_pillow(a.astype("u1"), "GIF", optimize=False)
    yield "WebP", ".webp", 255, lambda a: by_pillow(a.astype("u1"), "WEBP", lossless=True)


CODINGS = {name: (extension, most, write) for name, extension, most, write in codings()}


@settings(deadline=None, max_examples=4)
@given(seed=st.integers(0, 2**16), height=st.integers(1, 40), width=st.integers(1, 40), few=st.booleans())
@pytest.mark.parametrize("name", CODINGS)
def test_the_same_array_from_each(
    tmp_path_factory: pytest.TempPathFactory, name: str, seed: int, height: int, width: int, few: bool
) -> None:
    extension, most, write = CODINGS[name]
    rng = np.random.default_rng(seed)
    cells = rng.integers(0, min(most, 3 if few else 2**16) + 1, (height // 3 + 1, width // 3 + 1))
    array = np.kron(cells, np.ones((3, 3), int))[:height, :width]
    path = tmp_path_factory.getbasetemp() / f"codings{extension}"
    path.write_bytes(write(array))
    found = read_labels(path)
    assert found.shape == array.shape
    assert np.array_equal(found, array)
