"""Damaged, wrong and oversized files of label maps: one line that names the file and the remedy."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.commands import segeval
from tests.cli.refusals import (
    GOOD,
    LABELS,
    RGB16,
    Bomb,
    Capsys,
    damaged,
    folders,
    header,
    npy,
    npz,
    png_of,
    refused,
    tiff,
    zipped,
)
from tests.given.problems import colours, png_bytes

FILES: dict[str, tuple[str, bytes, tuple[str, ...]]] = {
    "empty file": ("b.png", b"", ("b.png: the file is empty; write the file again",)),
    "not an image": ("b.png", b"<html>not found</html>", ("b.png: not a PNG; convert the image to PNG",)),
    "JPEG named PNG": ("b.png", b"\xff\xd8\xff\xe0" + bytes(40), ("b.png: not a PNG",)),
    "truncated head": ("b.png", GOOD[:20], ("b.png: the PNG is truncated; copy or write the file again",)),
    "truncated body": ("b.png", GOOD[:-15], ("b.png: the PNG is truncated",)),
    "no end": ("b.png", GOOD[:-12], ("b.png: the PNG is truncated",)),
    "bad checksum": ("b.png", damaged(GOOD, 50), ("b.png: the checksum of chunk 'IDAT' is wrong",)),
    "bad head": ("b.png", damaged(GOOD, 18), ("b.png: the checksum of chunk 'IHDR' is wrong",)),
    "too few rows": ("b.png", png_of(21, 10, 8, 0, bytes(22 * 9)), ("b.png: the image data", "write the file again")),
    "too many rows": ("b.png", png_of(21, 10, 8, 0, bytes(22 * 11)), ("b.png: the image data are longer",)),
    "bomb": ("b.png", png_of(40000, 40000, 8, 0, b""), ("40000 x 40000 pixels", "SEGEVAL_MAX_PIXELS")),
    "long data": ("b.png", png_of(21, 10, 8, 0, bytes(10**7)), ("b.png: the image data are longer",)),
    "unknown depth": ("b.png", png_of(21, 10, 7, 0, b""), ("b.png: the PNG declares bit depth 7",)),
    "colours": ("b.png", png_bytes(colours(LABELS)), ("b.png: prediction has shape (10, 21, 3)", "convert each")),
    "16-bit colours": ("b.png", RGB16, ("b.png: prediction has shape (2, 2, 3)", "colours are no labels")),
    "size": ("b.png", png_bytes(LABELS[:, :8]), ("b.png: prediction is 8x10 but its truth is 21x10", "--resize")),
    "one row": ("b.png", png_bytes(LABELS[:1]), ("prediction is 21x1 but its truth is 21x10",)),
    "one column": ("b.png", png_bytes(LABELS[:, :1]), ("prediction is 1x10 but its truth is 21x10",)),
    "transposed": ("b.png", png_bytes(LABELS.T), ("prediction is 10x21 but its truth is 21x10",)),
    "outside": ("b.png", png_bytes(LABELS + 7), ("b.png: prediction holds the label 7", "map it", "classes are 0, 1")),
    "floats": ("b.npy", npy(LABELS + 0.5), ("b.npy: prediction holds floats (float64)", "save class ids as integers")),
    "negative": ("b.npy", npy(LABELS.astype(int) - 1), ("b.npy: prediction holds the label -1,", "--void (255 -1)")),
    "objects": ("b.npy", npy(np.array([Bomb()]), allow_pickle=True), ("b.npy: holds Python objects, which are never",)),
    "object in npz": ("b.npz", npz(labels=np.array([Bomb()])), ("b.npz: holds Python objects, which are never",)),
    "pickle": ("b.npy", pickle.dumps(Bomb()), ("b.npy: can't be read as .npy",)),
    "text": ("b.npy", npy(np.array([["a"]])), ("b.npy: holds values of dtype <U1; save integers",)),
    "records": ("b.npy", npy(np.zeros((2, 2), [("x", "u1")])), ("b.npy: holds values of dtype",)),
    "complex": ("b.npy", npy(np.zeros((2, 2), complex)), ("b.npy: holds values of dtype complex128",)),
    "logits": ("b.npy", npy(np.zeros((3, 10, 21), np.int8)), ("b.npy: prediction has shape (3, 10, 21)",)),
    "scalar": ("b.npy", npy(np.uint8(3)), ("b.npy: prediction has shape ()",)),
    "no pixels": ("b.npy", npy(np.zeros((0, 21), np.uint8)), ("b.npy: prediction has no pixels",)),
    "large label": ("b.npy", npy(LABELS.astype(int) << 40), ("b.npy: prediction holds the label 2199023255552",)),
    "npy bomb": ("b.npy", header((10**6, 10**6)), ("b.npy: declares 1000000000000 values", "SEGEVAL_MAX_PIXELS")),
    "npy items": ("b.npy", header((1, 1), f"|S{2**30}"), ("b.npy: holds values of dtype |S1073741824",)),
    "npy cut": ("b.npy", npy(LABELS)[:-9], ("b.npy: can't be read as .npy",)),
    "npy head": ("b.npy", b"\x93NUMPY\x01\x00\x04\x00{}  ", ("b.npy: can't be read as .npy",)),
    "npy negative": ("b.npy", header((-1, 5)), ("b.npy: can't be read as .npy",)),
    "zip bomb": ("b.npz", zipped("labels.npy", header((2**15, 2**15)) + bytes(10**6)), ("declares 1073741824 values",)),
    "npz cut": ("b.npz", npz(labels=LABELS)[:-30], ("b.npz: can't be read as .npz",)),
    "npz no zip": ("b.npz", GOOD, ("b.npz: can't be read as .npz",)),
    "npz names": ("b.npz", npz(x=LABELS, y=LABELS), ("b.npz: holds x, y, and no array named 'labels'; name",)),
    "npz other": ("b.npz", zipped("readme.txt", b"hello"), ("b.npz: can't be read as .npz",)),
    "npz empty": ("b.npz", npz(), ("b.npz: holds nothing, and no array named 'labels'",)),
    "tiff cut": ("b.tif", tiff(LABELS)[:-100], ("b.tif: can't be read as .tif",)),
    "tiff tags": ("b.tif", tiff(LABELS)[:4] + b"\xff\xff" + tiff(LABELS)[6:], ("b.tif: ",)),
    "tiff no tiff": ("b.tif", GOOD, ("b.tif: can't be read as .tif",)),
    "tiff floats": ("b.tiff", tiff((LABELS + 0.5).astype(np.float32)), ("b.tiff: prediction holds floats (float32)",)),
    "tiff colours": ("b.tif", tiff(colours(LABELS)), ("b.tif: prediction has shape (10, 21, 3)",)),
    "tiff pages": (
        "b.tif",
        tiff(LABELS, save_all=True, append_images=[Image.fromarray(LABELS)]),
        ("b.tif: holds 2 pages; write one page an image",),
    ),
}  # fmt: skip


@pytest.mark.parametrize("side", ["pred", "gt"])
@pytest.mark.parametrize("name", FILES)
def test_files(capsys: Capsys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, side: str) -> None:
    monkeypatch.chdir(tmp_path)
    file, data, parts = FILES[name]
    for folder in ("gt", "pred"):
        Path(folder).mkdir()
        Path(folder, "a.png").write_bytes(GOOD)
    other = "gt" if side == "pred" else "pred"
    Path(other, "b.png").write_bytes(GOOD)
    Path(side, file).write_bytes(data)
    ran = segeval(capsys, "score", "--task", "semantic", "--classes", "3", "--pred", "pred", "--gt", "gt", "--quiet")
    if side == "gt":
        sizes = any("truth is" in part for part in parts)
        parts = () if sizes else tuple(part.replace("prediction", "truth") for part in parts)
    refused(ran, *parts)
    assert not Path("unpickled").exists()


def test_the_limit_on_pixels_can_be_moved(capsys: Capsys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for extension, data in (("png", GOOD), ("npy", npy(LABELS)), ("npz", npz(labels=LABELS)), ("tif", tiff(LABELS))):
        place = tmp_path / extension
        place.mkdir()
        words = folders(place, {f"a.{extension}": data}, {f"a.{extension}": data})
        monkeypatch.setenv("SEGEVAL_MAX_PIXELS", "209")
        refused(segeval(capsys, *words), f"a.{extension}", "SEGEVAL_MAX_PIXELS")
        monkeypatch.setenv("SEGEVAL_MAX_PIXELS", "210")
        assert segeval(capsys, *words).code == 0
        monkeypatch.setenv("SEGEVAL_MAX_PIXELS", "many")
        refused(segeval(capsys, *words), "the environment variable SEGEVAL_MAX_PIXELS is 'many'")
