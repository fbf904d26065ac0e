"""The PNG reader, against an encoder written from the specification, and against Pillow."""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from segeval.errors import SegevalError
from segeval.readers.maps.png import PngImage, Scratch, crc_of, decode_png, read_png
from tests.given.datasets import dataset
from tests.kernels.test_png import filtered, regions

SIGNATURE = b"\x89PNG\r\n\x1a\n"
PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
KINDS = {
    # mode: (colour type, channels, depth)
    "1": (0, 1, 1), "L2": (0, 1, 2), "L4": (0, 1, 4), "L": (0, 1, 8), "I;16": (0, 1, 16),
    "P1": (3, 1, 1), "P2": (3, 1, 2), "P4": (3, 1, 4), "P": (3, 1, 8),
    "LA": (4, 2, 8), "RGB": (2, 3, 8), "RGBA": (6, 4, 8),
    "LA;16": (4, 2, 16), "RGB;16": (2, 3, 16), "RGBA;16": (6, 4, 16),
}  # fmt: skip
MODES = {"L2": "L", "L4": "L", "P1": "P", "P2": "P", "P4": "P"}


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def packed(values: NDArray[Any], depth: int) -> NDArray[np.uint8]:
    """Rows of values (h, n) as the bytes that PNG filters."""
    if depth == 16:
        return values.astype(">u2").view(np.uint8)
    if depth == 8:
        return values.astype(np.uint8)
    per_byte = 8 // depth
    padded = np.pad(values, ((0, 0), (0, -values.shape[1] % per_byte))).reshape(len(values), -1, per_byte)
    shifts = np.arange(8 - depth, -1, -depth)
    return (padded << shifts).sum(axis=2).astype(np.uint8)


def png(
    pixels: NDArray[Any],
    kind: str,
    *,
    filters: Sequence[int] = (0, 1, 2, 3, 4),
    interlaced: bool = False,
    pieces: int = 1,
    extra: bytes = b"",
) -> bytes:
    """A PNG of pixels (h, w, channels)."""
    colour, channels, depth = KINDS[kind]
    height, width, _ = pixels.shape
    raw = b""
    for x, y, right, down in PASSES if interlaced else ((0, 0, 1, 1),):
        part = pixels[y::down, x::right]
        if part.size:
            rows = packed(part.reshape(len(part), -1), depth)
            kinds = [filters[k % len(filters)] for k in range(len(part))]
            raw += filtered(rows, kinds, max(1, channels * depth // 8))
    return assembled(width, height, depth, colour, zlib.compress(raw), interlaced, pieces, extra)


def assembled(
    width: int, height: int, depth: int, colour: int, data: bytes, interlaced: bool = False, pieces: int = 1,
    extra: bytes = b"",
) -> bytes:  # fmt: skip
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced))
    palette = chunk(b"PLTE", bytes(range(256)) * 3) if colour == 3 else b""
    size = -(-len(data) // pieces)
    body = b"".join(chunk(b"IDAT", data[k : k + size]) for k in range(0, len(data), size))
    return SIGNATURE + header + palette + extra + body + chunk(b"IEND", b"")


def picture(kind: str, seed: int, height: int, width: int, noise: float) -> NDArray[Any]:
    """(h, w, channels) values that the kind can hold."""
    _, channels, depth = KINDS[kind]
    rng = np.random.default_rng(seed)
    if depth == 16:
        values = regions(rng, height, width, 2 * channels, noise)
        return values.view(np.uint16).reshape(height, width, channels)
    values = regions(rng, height, width, channels, noise) & (2**depth - 1)
    return values.reshape(height, width, channels)


def same(image: PngImage, pixels: NDArray[Any], kind: str) -> None:
    if pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    assert image.mode == MODES.get(kind, kind)
    assert image.pixels.dtype == pixels.dtype
    assert image.pixels.dtype.isnative
    assert image.pixels.flags.c_contiguous
    assert image.pixels.flags.writeable
    assert image.pixels.shape == pixels.shape
    assert np.array_equal(image.pixels, pixels)


def refused(data: bytes, **options: Any) -> str:
    with pytest.raises(SegevalError) as caught:
        decode_png(data, file="labels/a.png", **options)
    message = str(caught.value)
    assert message.startswith("labels/a.png: ")
    assert caught.value.remedy
    return message


@settings(deadline=None, max_examples=300)
@given(
    kind=st.sampled_from(sorted(KINDS)),
    seed=st.integers(0, 2**32 - 1),
    height=st.integers(1, 20),
    width=st.one_of(st.integers(1, 20), st.integers(1, 150)),
    noise=st.sampled_from([0.0, 0.05, 1.0]),
    filters=st.lists(st.integers(0, 4), min_size=1, max_size=5),
    interlaced=st.booleans(),
    pieces=st.integers(1, 4),
)
def test_every_kind_of_png(
    kind: str, seed: int, height: int, width: int, noise: float, filters: list[int], interlaced: bool, pieces: int
) -> None:
    pixels = picture(kind, seed, height, width, noise)
    data = png(pixels, kind, filters=filters, interlaced=interlaced, pieces=pieces)
    same(decode_png(data, file="a.png"), pixels, kind)
    same(decode_png(data, file="a.png", scratch=Scratch()), pixels, kind)


@pytest.mark.parametrize("mode", ["1", "L", "P", "I;16", "LA", "RGB", "RGBA"])
@pytest.mark.parametrize("size", [(1, 1), (1, 77), (77, 1), (31, 65), (240, 333)])
@pytest.mark.parametrize("noise", [0.0, 0.01, 1.0])
def test_what_pillow_writes(mode: str, size: tuple[int, int], noise: float, tmp_path: Path) -> None:
    pixels = picture(mode, 3, *size, noise)
    flat = pixels[:, :, 0] if pixels.shape[2] == 1 else pixels
    if mode == "P":
        image = Image.fromarray(flat).convert("P")
        image.putdata(flat.reshape(-1).tolist())
        image.putpalette(bytes(range(256)) * 3)
    else:
        image = Image.fromarray(flat.astype(bool) if mode == "1" else flat)
    image.save(tmp_path / "a.png", bits=8) if mode == "P" else image.save(tmp_path / "a.png")
    same(read_png(tmp_path / "a.png"), pixels, mode)


def test_small_palettes_of_pillow(tmp_path: Path) -> None:
    # Pillow packs few colours into 2 or 4 bits.
    for colours in (2, 4, 16):
        flat = np.random.default_rng(colours).integers(0, colours, (9, 13), dtype=np.uint8)
        image = Image.fromarray(flat).convert("P")
        image.putdata(flat.reshape(-1).tolist())
        image.putpalette([200, 10, 60] * colours)
        image.save(tmp_path / "a.png")
        same(read_png(tmp_path / "a.png"), flat[:, :, None], "P")


@pytest.mark.parametrize(("kind", "size"), [("L", 2), ("P", 256), ("RGB", 6)])
def test_transparency_is_not_applied(kind: str, size: int) -> None:
    pixels = picture(kind, 4, 10, 20, 0.1)
    same(decode_png(png(pixels, kind, extra=chunk(b"tRNS", bytes(size))), file="a.png"), pixels, kind)


def test_scratch_is_reused_and_the_rest_owned() -> None:
    first, second = picture("L", 1, 30, 40, 0.1), picture("L", 2, 30, 40, 0.1)
    scratch = Scratch()
    a = decode_png(png(first, "L"), file="a.png", scratch=scratch)
    b = decode_png(png(second, "L"), file="b.png", scratch=scratch)
    assert np.shares_memory(a.pixels, b.pixels)
    same(b, second, "L")
    a = decode_png(png(first, "L"), file="a.png")
    b = decode_png(png(second, "L"), file="b.png")
    same(a, first, "L")
    same(b, second, "L")


def test_scratch_after_a_larger_image() -> None:
    scratch = Scratch()
    for kind, height, width in (("RGB", 50, 60), ("L", 7, 3), ("I;16", 12, 90), ("LA", 80, 80), ("L", 1, 1)):
        pixels = picture(kind, 9, height, width, 0.2)
        same(decode_png(png(pixels, kind), file="a.png", scratch=scratch), pixels, kind)


GOOD = png(picture("L", 0, 30, 41, 0.05), "L", pieces=2)
OTHERS = (
    png(picture("RGB", 0, 9, 11, 0.05), "RGB"),
    png(picture("P4", 0, 9, 11, 0.05), "P4"),
    png(picture("I;16", 0, 9, 11, 0.05), "I;16", interlaced=True),
)


def survives(data: bytes, original: bytes) -> None:
    try:
        image = decode_png(data, file="a.png", limit=2**20)
    except SegevalError:
        return
    assert np.array_equal(image.pixels, decode_png(original, file="a.png").pixels)


@settings(deadline=None, max_examples=500)
@given(original=st.sampled_from((GOOD, *OTHERS)), length=st.integers(0, 2000))
def test_truncation(original: bytes, length: int) -> None:
    length = min(length, len(original) - 1)
    message = refused(original[:length])
    assert ("empty" if length == 0 else "truncated") in message


@settings(deadline=None, max_examples=1500)
@given(original=st.sampled_from((GOOD, *OTHERS)), at=st.integers(0, 10**6), bit=st.integers(0, 7))
def test_flipped_bits(original: bytes, at: int, bit: int) -> None:
    data = bytearray(original)
    data[at % len(data)] ^= 1 << bit
    survives(bytes(data), original)


def with_checksums(data: bytes) -> bytes:
    """The same chunks with their checksums made right, as far as there are chunks."""
    result, position = data[:8], 8
    while position + 12 <= len(data):
        length = int.from_bytes(data[position : position + 4], "big")
        if position + 12 + length > len(data):
            break
        result += chunk(data[position + 4 : position + 8], data[position + 8 : position + 8 + length])
        position += 12 + length
    return result


@settings(deadline=None, max_examples=1500)
@given(
    original=st.sampled_from((GOOD, *OTHERS)),
    edits=st.lists(st.tuples(st.integers(8, 10**6), st.integers(0, 255)), min_size=1, max_size=4),
)
def test_damage_under_right_checksums(original: bytes, edits: list[tuple[int, int]]) -> None:
    data = bytearray(original)
    for at, value in edits:
        data[at % len(data)] = value
    try:
        image = decode_png(with_checksums(bytes(data)), file="a.png", limit=2**20)
    except SegevalError:
        return
    assert image.pixels.size <= 2**22


@settings(deadline=None, max_examples=500)
@given(data=st.binary(max_size=200), signed=st.booleans())
@example(data=b"", signed=True)
def test_noise(data: bytes, signed: bool) -> None:
    refused(SIGNATURE * signed + data)


def test_messages() -> None:
    assert "is empty" in refused(b"")
    assert "not a PNG" in refused(b"\xff\xd8\xff\xe0 a JPEG called .png")
    assert "truncated" in refused(GOOD[:-3])
    assert "checksum of chunk 'IDAT'" in refused(GOOD.replace(b"IDAT", b"IDAT\x01", 1)[:-1])
    assert "IHDR" in refused(SIGNATURE + chunk(b"IDAT", bytes(30)))
    assert "bit depth 3" in refused(assembled(4, 4, 3, 0, zlib.compress(bytes(20))))
    assert "colour type 7" in refused(assembled(4, 4, 8, 7, zlib.compress(bytes(20))))
    assert "declares 0 x 4" in refused(assembled(0, 4, 8, 0, zlib.compress(bytes(20))))
    assert "are 19 bytes, but the declared size needs 20" in refused(assembled(4, 4, 8, 0, zlib.compress(bytes(19))))
    assert "longer than the 20 bytes" in refused(assembled(4, 4, 8, 0, zlib.compress(bytes(21))))
    assert "end early" in refused(assembled(4, 4, 8, 0, zlib.compress(bytes(20))[:-2]))
    assert "incorrect data check" in refused(assembled(4, 4, 8, 0, zlib.compress(bytes(20))[:-1] + b"x"))
    assert "row 2 has a filter" in refused(assembled(4, 4, 8, 0, zlib.compress(bytes(10) + b"\x09" + bytes(9))))
    assert "no IDAT" in refused(SIGNATURE + GOOD[8:33] + chunk(b"IEND", b""))
    assert "'CgBI'" in refused(GOOD[:33] + chunk(b"CgBI", b"") + GOOD[33:])
    without_palette = png(picture("P", 0, 9, 9, 0), "P").replace(chunk(b"PLTE", bytes(range(256)) * 3), b"")
    assert "no palette" in refused(without_palette)
    first, middle = GOOD.index(b"IDAT") - 4, GOOD.rindex(b"IDAT") - 4
    assert first < middle
    assert "not consecutive" in refused(GOOD[:middle] + chunk(b"tEXt", b"a\0b") + GOOD[middle:])


def test_bombs_are_refused_before_inflating(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bomb = assembled(2**20, 2**20, 8, 0, b"never inflated")
    message = refused(bomb)
    assert "1048576 x 1048576" in message
    assert "SEGEVAL_MAX_PIXELS" in message
    assert "damaged" in refused(bomb, limit=2**40)
    assert "41 x 30 pixels, and at most 1229 are" in refused(GOOD, limit=1229)
    decode_png(GOOD, file="a.png", limit=1230)
    monkeypatch.setenv("SEGEVAL_MAX_PIXELS", "1229")
    assert "at most 1229" in refused(GOOD)
    decode_png(GOOD, file="a.png", limit=1230)
    monkeypatch.setenv("SEGEVAL_MAX_PIXELS", "many")
    with pytest.raises(SegevalError, match="SEGEVAL_MAX_PIXELS is 'many'"):
        decode_png(GOOD, file="a.png")


def test_a_small_file_that_claims_much_takes_no_memory() -> None:
    assert "damaged" in refused(assembled(2**14, 2**14, 16, 6, b"short"))


def test_unreadable_files(tmp_path: Path) -> None:
    for path, words in ((tmp_path / "none.png", "No such file"), (tmp_path, "not a regular file"), ("a\0b", "null")):
        with pytest.raises(SegevalError, match=words):
            read_png(path)


def test_a_large_file_is_looked_at_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "zeros.png"
    with path.open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(SegevalError, match="not a PNG"):
        read_png(path)
    path.write_bytes(GOOD)
    os.truncate(path, 2**40)
    with pytest.raises(SegevalError, match="far too many for 41 x 30"):
        read_png(path)
    os.truncate(path, len(GOOD) + 2**20)
    same(read_png(path), picture("L", 0, 30, 41, 0.05), "L")
    os.truncate(path, 0)
    with pytest.raises(SegevalError, match="is empty"):
        read_png(path)


def test_checksum_of_pixels() -> None:
    odd = np.arange(3 * 2**15, dtype=np.uint16).reshape(3, -1)
    for array in (np.arange(60, dtype=np.uint8).reshape(6, 10), odd, np.empty((0, 3), "u2")):
        assert crc_of(array) == zlib.crc32(array.tobytes())


@pytest.mark.parametrize("folder", ["camvid/testannot", "coco_panoptic/panoptic/val", "coco_panoptic/semantic/val"])
def test_real_files(folder: str) -> None:
    root, _, rest = folder.partition("/")
    paths = sorted((dataset(root) / rest).glob("*.png"))[:40]
    assert paths
    scratch = Scratch()
    for path in paths:
        with Image.open(io.BytesIO(path.read_bytes())) as image:
            assert np.array_equal(read_png(path, scratch=scratch).pixels, np.asarray(image))
