"""BMP, GIF, WebP and JPEG as label maps: palette indices, whatever the palette holds, and greys."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segeval import SegevalError, score
from segeval.checking.checking import check
from segeval.readers.maps.labels import read_labels
from segeval.readers.protocol import Notes

RNG = np.random.default_rng(8)
LABELS = np.kron(RNG.integers(0, 2, (5, 6)), np.ones((4, 5), int)).astype(np.uint8)[:19, :29]
GREYS = {"greys": lambda n: [(v, v, v) for v in range(n)], "black and white": lambda n: [(0, 0, 0), (255, 255, 255)]}
PALETTES: dict[str, Any] = {
    **GREYS,
    "white and black": lambda n: [(255, 255, 255), (0, 0, 0)],
    "one colour": lambda n: [(9, 9, 9)] * n,
    "colours": lambda n: [(7 * v % 256, 255 - v, 3 * v % 256) for v in range(n)],
}


def bmp(array: Any, bits: int, palette: list[tuple[int, int, int]], *, down: bool = False, core: bool = False) -> bytes:
    """A BMP of indices by hand; Pillow writes few of them."""
    height, width = array.shape
    rows = []
    for row in array if down else array[::-1]:
        text = "".join(f"{v:0{bits}b}" for v in row.tolist())
        text += "0" * (-len(text) % 32)
        rows.append(bytes(int(text[k : k + 8], 2) for k in range(0, len(text), 8)))
    if core:
        head = struct.pack("<IHHHH", 12, width, height, 1, bits)
        palette = (palette * 2**bits)[: 2**bits]
        table = b"".join(bytes(reversed(c)) for c in palette)
    else:
        sizes = (40, width, -height if down else height, 1, bits, 0, 0, 0, 0, len(palette), 0)
        head = struct.pack("<IiiHHIIiiII", *sizes)
        table = b"".join(bytes(reversed(c)) + b"\0" for c in palette)
    begin = 14 + len(head) + len(table)
    content = b"".join(rows)
    return b"BM" + struct.pack("<IHHI", begin + len(content), 0, 0, begin) + head + table + content


@pytest.mark.parametrize("name", PALETTES)
@pytest.mark.parametrize("bits", [1, 4, 8])
def test_indices_of_bmp(tmp_path: Path, bits: int, name: str) -> None:
    palette = PALETTES[name](2**bits)
    array = LABELS if len(palette) == 2 else (LABELS * (len(palette) - 1)).astype(np.uint8)
    path = tmp_path / "a.bmp"
    for down in (False, True):
        path.write_bytes(bmp(array, bits, palette, down=down))
        assert np.array_equal(read_labels(path), array)
    path.write_bytes(bmp(array, bits, palette, core=True))
    assert np.array_equal(read_labels(path), array)


def test_runs_of_bmp(tmp_path: Path) -> None:
    """RLE8 by hand: pairs of length and index; 0 0 ends a row, 0 1 the image."""
    data = bytearray(bmp(LABELS, 8, PALETTES["black and white"](256)))
    rows = [b"".join(bytes([1, v]) for v in row.tolist()) + b"\0\0" for row in LABELS[::-1]]
    begin = int.from_bytes(data[10:14], "little")
    data[30:34] = struct.pack("<I", 1)
    path = tmp_path / "a.bmp"
    path.write_bytes(bytes(data[:begin]) + b"".join(rows) + b"\0\1")
    assert np.array_equal(read_labels(path), LABELS)


@pytest.mark.parametrize("name", PALETTES)
def test_indices_of_gif(tmp_path: Path, name: str) -> None:
    palette = PALETTES[name](256)
    array = (LABELS * min(len(palette) - 1, 200)).astype(np.uint8)
    image = Image.fromarray(array, mode="P")
    image.putpalette([v for colour in palette for v in colour])
    for how in ({}, {"interlace": 1}, {"transparency": 0}):
        image.save(tmp_path / "a.gif", optimize=False, **how)
        assert np.array_equal(read_labels(tmp_path / "a.gif"), array)


def test_greys_of_webp_and_jpeg(tmp_path: Path) -> None:
    array = np.repeat(np.repeat(LABELS * 255, 8, 0), 8, 1)
    Image.fromarray(array).save(tmp_path / "a.webp", lossless=True)
    assert np.array_equal(read_labels(tmp_path / "a.webp"), array)
    for name, how in (("a.jpg", {}), ("b.jpeg", {"progressive": True}), ("l.webp", {"quality": 80})):
        Image.fromarray(array).save(tmp_path / name, **how)
        found = read_labels(tmp_path / name)
        assert found.shape == array.shape
        assert np.array_equal(found >= 128, array >= 128)
    Image.fromarray(array).convert("RGB").save(tmp_path / "rgb.jpg")
    assert read_labels(tmp_path / "rgb.jpg").shape == array.shape


def test_colours_stay_colours(tmp_path: Path) -> None:
    array = np.stack([LABELS * 200, LABELS * 100, LABELS], -1)
    for name, how in (("a.bmp", {}), ("a.webp", {"lossless": True}), ("a.jpg", {})):
        Image.fromarray(array).save(tmp_path / name, **how)
        assert read_labels(tmp_path / name).shape == array.shape
    clear = np.dstack([np.repeat(LABELS[..., None] * 200, 3, 2), LABELS * 255])
    Image.fromarray(clear).save(tmp_path / "a.webp", lossless=True, exact=True)
    assert np.array_equal(read_labels(tmp_path / "a.webp"), clear)


def test_lossy_codings_are_told(tmp_path: Path) -> None:
    for name, how in (("a.webp", {"lossless": True}), ("l.webp", {}), ("a.jpg", {}), ("a.bmp", {}), ("a.gif", {})):
        Image.fromarray(LABELS).save(tmp_path / name, **how)
        notes = Notes()
        read_labels(tmp_path / name, "truth", notes)
        kind = {"l.webp": "lossy WebP", "a.jpg": "JPEG"}.get(name)
        wanted = [f"truth: {kind} does not keep values exactly ({name})"] if kind else []
        assert [c.message for c in notes.cautions("truth", ())] == wanted


def test_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = [Image.fromarray(LABELS * k) for k in (1, 2)]
    frames[0].save(tmp_path / "frames.gif", save_all=True, append_images=frames[1:])
    frames[0].save(tmp_path / "frames.webp", save_all=True, append_images=frames[1:], lossless=True)
    for name in ("frames.gif", "frames.webp"):
        with pytest.raises(SegevalError, match=f"{name}: holds 2 frames; write one frame an image"):
            read_labels(tmp_path / name)
    stream = io.BytesIO()
    frames[0].save(stream, format="GIF")
    part = bytearray(stream.getvalue())
    part[6:10] = struct.pack("<HH", 100, 100)  # a larger screen than the frame
    (tmp_path / "part.gif").write_bytes(part)
    with pytest.raises(SegevalError, match="holds a frame that does not cover the image"):
        read_labels(tmp_path / "part.gif")
    monkeypatch.setenv("SEGEVAL_MAX_PIXELS", "100")
    for name in ("a.bmp", "a.gif", "a.webp", "a.jpg"):
        frames[0].save(tmp_path / name)
        with pytest.raises(SegevalError, match=f"{name}: declares 29x19 pixels.*SEGEVAL_MAX_PIXELS=551"):
            read_labels(tmp_path / name)
        (tmp_path / name).write_bytes(b"no image")
        with pytest.raises(SegevalError, match=f"can't be read as {name[1:]}.*; write the file again"):
            read_labels(tmp_path / name)


@pytest.mark.parametrize(("extension", "how"), [(".bmp", {}), (".gif", {}), (".webp", {"lossless": True})])
@pytest.mark.parametrize("task", ["semantic", "instance", "panoptic"])
def test_they_score_as_png_does(tmp_path: Path, extension: str, how: dict[str, Any], task: str) -> None:
    figure = {"semantic": "mIoU", "instance": "AP", "panoptic": "PQ"}[task]
    values = []
    other = np.where(RNG.random(LABELS.shape) < 0.2, 1, LABELS).astype(np.uint8)
    for kind, more in ((".png", {}), (extension, how)):
        for side, array in (("gt", LABELS), ("pred", other)):
            folder = tmp_path / kind / side
            folder.mkdir(parents=True)
            Image.fromarray(array).save(folder / f"a{kind}", **more)
        values.append(score(tmp_path / kind / "pred", tmp_path / kind / "gt", task=task)[figure])
    assert values[0] == values[1] > 0
    assert check(tmp_path / extension / "pred", tmp_path / extension / "gt", task=task).fine
