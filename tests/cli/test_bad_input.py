"""Bad input: one clear line that names the file, the value and the remedy; exit 1; nothing lost."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.cli.commands import Ran, segeval
from tests.problems import colours, png_bytes, write_panoptic

Capsys = pytest.CaptureFixture[str]
Put = Callable[[Path], None]

LABELS = np.kron(np.array([[0, 1, 2], [2, 1, 0]]), np.ones((5, 7), int)).astype(np.uint8)
GOOD = png_bytes(LABELS)


def refused(ran: Ran, *parts: str) -> None:
    """Exit 1, nothing on stdout, one line on stderr, which says all of this."""
    assert ran.code == 1, ran
    assert ran.out == ""
    lines = ran.err.splitlines()
    assert len(lines) == 1, ran.err
    assert lines[0].startswith("segeval: ")
    assert "Traceback" not in ran.err
    assert "defect" not in ran.err
    assert ";" in lines[0], f"no remedy: {lines[0]}"
    for part in parts:
        assert part in lines[0], lines[0]


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_of(width: int, height: int, depth: int, colour: int, rows: bytes) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")


def npy(array: Any, **options: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, **options)
    return stream.getvalue()


def npz(**arrays: Any) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()


def zipped(name: str, content: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return stream.getvalue()


def header(shape: tuple[int, ...], dtype: str = "|u1") -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": dtype, "fortran_order": False, "shape": shape})
    return stream.getvalue()


def tiff(array: Any, **options: Any) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, format="TIFF", **options)
    return stream.getvalue()


class Bomb:
    """Leaves a file behind if it is ever unpickled."""

    def __reduce__(self) -> Any:
        return os.mkdir, ("unpickled",)


def damaged(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :]


RGB16 = png_of(2, 2, 16, 2, b"".join(b"\0" + bytes(12) for _ in range(2)))

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
    "floats": ("b.npy", npy(LABELS / 2), ("b.npy: prediction holds floats (float64), not labels", "argmax")),
    "negative": ("b.npy", npy(LABELS.astype(int) - 1), ("b.npy: prediction holds the negative label -1", "255")),
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
    "tiff floats": ("b.tiff", tiff(LABELS.astype(np.float32)), ("b.tiff: prediction holds floats (float32)",)),
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


def folders(tmp_path: Path, gt: dict[str, bytes], pred: dict[str, bytes]) -> list[str | Path]:
    for side, files in (("gt", gt), ("pred", pred)):
        (tmp_path / side).mkdir()
        for name, data in files.items():
            path = tmp_path / side / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    return ["score", "--task", "semantic", "--quiet", "--gt", tmp_path / "gt", "--pred", tmp_path / "pred"]


def test_missing_and_extra_files(capsys: Capsys, tmp_path: Path) -> None:
    names = [f"{n}.png" for n in "abcdef"]
    words = folders(tmp_path, dict.fromkeys(names, GOOD), {"a.png": GOOD, "z.png": GOOD})
    refused(
        segeval(capsys, *words), "pred: 5 of 6 images have no prediction: b, c, d and 2 more; add them, or give --m"
    )
    for name in names:
        (tmp_path / "pred" / name).write_bytes(GOOD)
    refused(segeval(capsys, *words), "gt: 1 predictions have no truth: z; remove them, or give --missing skip")
    (tmp_path / "pred" / "z.png").unlink()
    assert segeval(capsys, *words).code == 0


def test_no_common_name(capsys: Capsys, tmp_path: Path) -> None:
    words = folders(tmp_path, {"a.png": GOOD}, {"x/b.png": GOOD, "c.png": GOOD})
    refused(segeval(capsys, *words), "no image has both a truth and a prediction: truth has a, prediction has c, x/b")


def test_two_files_for_one_image(capsys: Capsys, tmp_path: Path) -> None:
    words = folders(tmp_path, {"a.png": GOOD}, {"a.png": GOOD, "a.npy": npy(LABELS)})
    refused(segeval(capsys, *words), "two files for one image: a.npy and a.png; remove one of them")


def test_two_names_for_one_image(capsys: Capsys, tmp_path: Path) -> None:
    words = folders(tmp_path, {"a_gtFine.png": GOOD}, {"a_pred.png": GOOD, "a_mask.png": GOOD})
    refused(segeval(capsys, *words), "two prediction files for one image", "a_mask.png", "a_pred.png", "--pred-suffix")
    ran = segeval(capsys, *words, "--pred-suffix", "_pred")
    assert ran.code == 0


def test_empty_folder(capsys: Capsys, tmp_path: Path) -> None:
    words = folders(tmp_path, {"a.png": GOOD}, {})
    refused(
        segeval(capsys, *words), "pred: no .png, .npy, .npz, .tif, .tiff in this folder, it is empty; give the folder"
    )
    (tmp_path / "pred" / "a.jpg").write_bytes(b"x")
    refused(segeval(capsys, *words), "in this folder; it holds 1 other files")


def test_no_folder(capsys: Capsys, tmp_path: Path) -> None:
    words = folders(tmp_path, {"a.png": GOOD}, {"a.png": GOOD})
    refused(segeval(capsys, *words, "--pred", tmp_path / "pred" / "out" / "x"), "no such file or folder; ", "last part")
    refused(segeval(capsys, *words, "--gt", tmp_path / "nowhere"), "nowhere: no such file or folder")
    refused(segeval(capsys, *words, "--gt", tmp_path / ("x" * 300)), "can't be read (File name too long)")
    refused(segeval(capsys, *words, "--gt", "/dev/null"), "/dev/null: ")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_folder_and_file(capsys: Capsys, tmp_path: Path) -> None:
    words = folders(tmp_path, {"a.png": GOOD, "sub/b.png": GOOD}, {"a.png": GOOD, "sub/b.png": GOOD})
    for place in (tmp_path / "pred" / "sub", tmp_path / "pred" / "a.png", tmp_path / "gt"):
        mode = place.stat().st_mode
        place.chmod(0)
        try:
            refused(segeval(capsys, *words), str(place), "permission", "check")
        finally:
            place.chmod(mode)


def test_unsaid_binary_masks(capsys: Capsys, tmp_path: Path) -> None:
    mask = png_bytes((LABELS > 0).astype(np.uint8) * 255)
    words = folders(tmp_path, {"a.png": mask}, {"a.png": mask})
    refused(segeval(capsys, *words), "exactly the values 0 and 255", "--binary", "--void 255")
    for more in (["--binary"], ["--void", "255"]):
        assert segeval(capsys, *words, *more).code == 0


def test_all_void_image_and_void_prediction_are_said(capsys: Capsys, tmp_path: Path) -> None:
    void = png_bytes(LABELS * 0 + 255)
    words = folders(tmp_path, {"a.png": GOOD, "b.png": void}, {"a.png": void, "b.png": GOOD})
    ran = segeval(capsys, *[w for w in words if w != "--quiet"], "--format", "json")
    assert ran.code == 0
    data = json.loads(ran.out)
    told = {w["code"]: w["message"] for w in data["warnings"]}
    assert told["all-void"] == "1 images have no truth but void, the first is b"
    assert told["prediction-void"].startswith("210 of 210 scored pixels are predicted as void")
    assert all(message in ran.err for message in told.values())
    assert data["values"]["mIoU"] == 0
    words = folders(tmp_path / "all", {"a.png": void}, {"a.png": GOOD}) if (tmp_path / "all").mkdir() is None else []
    data = json.loads(segeval(capsys, *words, "--format", "json").out)
    assert data["values"]["mIoU"] is None


def test_classes_files(capsys: Capsys, tmp_path: Path) -> None:
    words = folders(tmp_path, {"a.png": GOOD}, {"a.png": GOOD})
    cases = {
        "none.txt": (None, "no such file; give --classes a number or a file of names"),
        "empty.txt": (b"\n\n", "holds no name; write one class name a line"),
        "latin.txt": ("stra\xdfe".encode("latin-1"), "is not UTF-8 text"),
        "bad.json": (b'{"names": [1,\n  ]}', "malformed JSON at line 2, column 3"),
        "empty.json": (b"[]", "holds no list of classes"),
        "twice.json": (b'[{"id": 1}, {"id": 1}]', "class id 1 is given twice; give each class its own id"),
        "noid.json": (b'[{"name": "a"}]', "category 0 has no id"),
        "negative.json": (b'[{"id": -1}]', "class id -1 is negative; number classes from 0"),
        "huge.json": (b'[{"id": 1' + b"0" * 30 + b"}]", "is too large"),
        "half.json": (b'[{"id": 1.5}]', "the id of category 0 is 1.5, not a whole number"),
        "some.json": (b'[{"id": 0, "isthing": 1}, {"id": 1}]', "only some categories have 'isthing'"),
        "deep.json": (b"[" * 100000, "JSON"),
    }
    for name, (data, message) in cases.items():
        if data is not None:
            (tmp_path / name).write_bytes(data)
        refused(segeval(capsys, *words, "--classes", tmp_path / name), name, message)
    refused(segeval(capsys, *words, "--classes", "0"), "0 is no number of classes; give 1 to")
    refused(segeval(capsys, *words, "--classes", "99999999"), "99999999 is no number of classes")
    refused(segeval(capsys, *words, "--classes", tmp_path), "can't be read")


def test_map_files(capsys: Capsys, tmp_path: Path) -> None:
    words = folders(tmp_path, {"a.png": GOOD}, {"a.png": GOOD})
    cases = {
        "none.csv": (None, "can't be read"),
        "empty.csv": (b"", "holds no pair of values; give from and to as whole numbers"),
        "words.csv": (b"from,to\n1,2\nx,3\n", "['x', '3'] is no pair of values"),
        "three.csv": (b"1,2,3\n4,5,6\n", "is no pair of values"),
        "twice.csv": (b"1,2\n1,3\n", "maps a value twice; give each value one target"),
        "bad.json": (b"{1: 2}", "malformed JSON at line 1, column 2"),
        "list.json": (b"3", "holds no table"),
    }
    for name, (data, message) in cases.items():
        if data is not None:
            (tmp_path / name).write_bytes(data)
        refused(segeval(capsys, *words, "--map", tmp_path / name), name, message)


# ---- panoptic ------------------------------------------------------------------------------------------------

IDS = np.array([[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 3, 0]])
SEGMENTS: list[dict[str, Any]] = [
    {"id": 1, "category_id": 5, "area": 4, "iscrowd": 0},
    {"id": 2, "category_id": 7, "area": 4, "iscrowd": 0},
    {"id": 3, "category_id": 9, "area": 3, "iscrowd": 0},
]
CATEGORIES = [{"id": i, "name": f"c{i}", "isthing": int(i < 8)} for i in (5, 7, 9)]


def changed(k: int, **values: Any) -> list[dict[str, Any]]:
    return [s | values if i == k else s for i, s in enumerate(SEGMENTS)]


def lacking(k: int, name: str) -> list[dict[str, Any]]:
    return [{n: v for n, v in s.items() if i != k or n != name} for i, s in enumerate(SEGMENTS)]


PANOPTIC: dict[str, tuple[Any, Any, str]] = {
    "PNG id absent from JSON": (
        IDS,
        SEGMENTS[:2],
        "pixels hold the segment id 3, which its list of segments lacks; list",
    ),
    "JSON id absent from PNG": (IDS % 3, SEGMENTS, "lists segment 3, which has no pixel; take it out of segments_info"),
    "unknown category": (IDS, changed(1, category_id=6), "segment 2 has category 6, which is not among the classes;"),
    "no category": (IDS, lacking(0, "category_id"), "segment 0 lacks id or category_id"),
    "no id": (IDS, lacking(0, "id"), "segment 0 lacks id or category_id; give each segment both"),
    "id twice": (IDS, [*SEGMENTS, SEGMENTS[0]], "lists the segment id 1 twice; give each segment its own id"),
    "id 0": (IDS, changed(0, id=0), "segment id 0 is void; use ids from 1"),
    "id as text": (IDS, changed(0, id="1"), "the id of segment 0 is '1', not a whole number"),
    "large id": (IDS, changed(0, id=2**24), "does not fit in three bytes"),
    "huge category": (IDS, changed(0, category_id=10**40), "segment 1 has category_id 10000"),
    "area as text": (IDS, changed(0, area="4"), "the area of segment 1 is '4', not a whole number"),
    "negative area": (IDS, changed(0, area=-4), "segment 1 has the area -4; correct or remove it"),
    "crowd": (IDS, changed(0, iscrowd="yes"), "segment 1 has iscrowd 'yes'; write 0 or 1"),
    "no list": (IDS, {"1": {}}, "segments_info is no list"),
    "no objects": (IDS, [1, 2], "segment 0 lacks id or category_id"),
    "size": (IDS[:2], SEGMENTS[:2], "is 4x"),
    "one row": (IDS[:1], SEGMENTS[:2], "is 4x"),
}


def panoptic(tmp_path: Path) -> tuple[list[str | Path], Path, Path]:
    entries = [(k, IDS, SEGMENTS) for k in (1, 2)]
    gt = write_panoptic(tmp_path / "gt", entries, CATEGORIES)
    pred = write_panoptic(tmp_path / "pred", entries, None)
    return ["score", "--quiet", "--gt", gt, "--pred", pred], gt, pred


@pytest.mark.parametrize("side", ["gt", "pred"])
@pytest.mark.parametrize("name", PANOPTIC)
def test_panoptic(capsys: Capsys, tmp_path: Path, name: str, side: str) -> None:
    ids, segments, message = PANOPTIC[name]
    words, _, _ = panoptic(tmp_path)
    categories = CATEGORIES if side == "gt" else None
    data = list(segments) if isinstance(segments, list) else segments
    path = write_panoptic(tmp_path / side, [(1, IDS, SEGMENTS), (2, ids, [])], categories)
    document = json.loads(path.read_text())
    document["annotations"][1]["segments_info"] = data
    path.write_text(json.dumps(document))
    ran = segeval(capsys, *words)
    refused(ran, message)
    assert "2" in ran.err  # the image
    assert str(tmp_path) in ran.err


def test_contradicting_area_of_truth(capsys: Capsys, tmp_path: Path) -> None:
    words, _, _ = panoptic(tmp_path)
    write_panoptic(tmp_path / "gt", [(1, IDS, SEGMENTS), (2, IDS, changed(0, area=10))], CATEGORIES)
    refused(
        segeval(capsys, *words), "2.png: segment 1 has the area 10 in the JSON but 4 pixels; correct or remove 'area'"
    )


def test_absent_area_and_crowd_are_computed_and_0(capsys: Capsys, tmp_path: Path) -> None:
    words, _, _ = panoptic(tmp_path)
    wanted = segeval(capsys, *words, "--format", "json").out
    bare = [{"id": s["id"], "category_id": s["category_id"]} for s in SEGMENTS]
    write_panoptic(tmp_path / "gt", [(k, IDS, bare) for k in (1, 2)], CATEGORIES)
    assert segeval(capsys, *words, "--format", "json").out == wanted


JSONS: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "malformed": (lambda d: b'{"annotations": [\n {"image_id": 1,, }]}', "malformed JSON at line 2, column 17"),
    "cut": (lambda d: json.dumps(d).encode()[:-40], "malformed JSON at line 1, column"),
    "empty": (lambda d: b"", "malformed JSON at line 1, column 1"),
    "no text": (lambda d: b'{"a": "\xff"}', "is not UTF-8 text (byte 7)"),
    "a list": (lambda d: [d], "has no list 'annotations'; give a COCO panoptic JSON"),
    "no annotations": (lambda d: {"categories": []}, "annotations"),
    "no image id": (lambda d: d | {"annotations": [{"file_name": "1.png", "segments_info": []}]}, "annotation 0 lacks"),
    "id twice": (lambda d: d | {"annotations": d["annotations"] + d["annotations"][:1]}, "lists the image 1 twice"),
    "id no number": (
        lambda d: d | {"annotations": [d["annotations"][0] | {"image_id": [1]}]},
        "the image_id of annotation 0 is [1], not a whole number",
    ),
}


@pytest.mark.parametrize("side", ["gt", "pred"])
@pytest.mark.parametrize("name", JSONS)
def test_panoptic_jsons(capsys: Capsys, tmp_path: Path, name: str, side: str) -> None:
    change, message = JSONS[name]
    words, gt, pred = panoptic(tmp_path)
    path = gt if side == "gt" else pred
    new = change(json.loads(path.read_text()))
    path.write_bytes(new if isinstance(new, bytes) else json.dumps(new).encode())
    refused(segeval(capsys, *words, "--task", "panoptic"), path.name, message)


def test_panoptic_json_of_truth(capsys: Capsys, tmp_path: Path) -> None:
    words, gt, _ = panoptic(tmp_path)
    data = json.loads(gt.read_text())
    for change, message in (
        ({"categories": None}, "has no 'categories'"),
        ({"categories": [{"id": 5}, {"id": 5}]}, "class id 5 is given twice"),
        ({"categories": [{"name": "x"}]}, "category 0 has no id"),
        ({"annotations": []}, "annotations"),
    ):
        gt.write_text(json.dumps(data | change))
        refused(segeval(capsys, *words, "--task", "panoptic"), message)
    del data["categories"]
    gt.write_text(json.dumps(data))
    refused(segeval(capsys, *words), "has no 'categories'; add them, or give --classes FILE")


PNGS = {
    "grey": (png_bytes(IDS.astype(np.uint8)), "a panoptic PNG holds 8-bit RGB colours, this one has mode L"),
    "16-bit grey": (png_bytes(IDS.astype(np.uint16)), "this one has mode I;16"),
    "16-bit colours": (RGB16, "this one has 16-bit colours; write id = R + 256 G + 65536 B"),
    "truncated": (png_bytes(colours(IDS))[:-14], "the PNG is truncated"),
    "checksum": (damaged(png_bytes(colours(IDS)), 45), "checksum"),
    "nothing": (b"", "the file is empty"),
}


@pytest.mark.parametrize("side", ["gt", "pred"])
@pytest.mark.parametrize("name", PNGS)
def test_panoptic_pngs(capsys: Capsys, tmp_path: Path, name: str, side: str) -> None:
    data, message = PNGS[name]
    words, _, _ = panoptic(tmp_path)
    (tmp_path / side / "panoptic" / "2.png").write_bytes(data)
    refused(segeval(capsys, *words), "2.png", message)


def test_panoptic_files_and_entries_that_are_not_there(capsys: Capsys, tmp_path: Path) -> None:
    words, gt, _ = panoptic(tmp_path)
    (tmp_path / "pred" / "panoptic" / "2.png").unlink()
    refused(segeval(capsys, *words), "2.png: cannot be read: No such file", "check the path")
    (tmp_path / "pred" / "panoptic" / "1.png").unlink()
    refused(segeval(capsys, *words), "panoptic.json: found no folder with 1.png; looked in", "put the PNGs into")
    write_panoptic(tmp_path / "pred", [(2, IDS, SEGMENTS), (3, IDS, SEGMENTS)], None)
    refused(segeval(capsys, *words), "1 of 2 images have no prediction")
    write_panoptic(tmp_path / "pred", [(k, IDS, SEGMENTS) for k in (1, 2, 3)], None)
    refused(segeval(capsys, *words), "1 predictions have no truth: 3; remove them, or give --missing skip")
    write_panoptic(tmp_path / "pred", [(k, IDS, SEGMENTS) for k in ("1", "2")], None)
    refused(segeval(capsys, *words), "no image has both a truth and a prediction")
    assert gt.exists()


def test_colours_without_a_json(capsys: Capsys, tmp_path: Path) -> None:
    for side in ("gt", "pred"):
        (tmp_path / side).mkdir()
        (tmp_path / side / "a.png").write_bytes(png_bytes(colours(IDS * 70000)))
    words = ["score", "--quiet", "--task", "panoptic", "--gt", tmp_path / "gt", "--pred", tmp_path / "pred"]
    refused(segeval(capsys, *words), "a.png: is a colour PNG without a panoptic JSON", "--gt-format")
    refused(segeval(capsys, *words, "--gt-format", "panoptic-channels"), "a.png")


# ---- output --------------------------------------------------------------------------------------------------


def test_output_that_cannot_be_written_is_refused_before_scoring(capsys: Capsys, tmp_path: Path) -> None:
    words = folders(tmp_path, {"a.png": GOOD}, {"a.png": b"never read"})
    (tmp_path / "file").write_text("mine")
    refused(segeval(capsys, *words, "--out", tmp_path / "file"), "is a file, not a folder; give --out a folder")
    refused(segeval(capsys, *words, "--out", tmp_path / "file" / "run"), "can't be written", "choose a folder")
    refused(segeval(capsys, *words, "--per-image", tmp_path / "file" / "x.csv"), "can't be written")
    assert (tmp_path / "file").read_text() == "mine"
    assert not (tmp_path / "run").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_folder_without_permission(capsys: Capsys, tmp_path: Path) -> None:
    words = folders(tmp_path, {"a.png": GOOD}, {"a.png": b"never read"})
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    refused(segeval(capsys, *words, "--out", locked / "run"), "can't be written (permission denied)")


def test_a_failure_while_saving_still_prints_the_result(
    capsys: Capsys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = folders(tmp_path, {"a.png": GOOD}, {"a.png": GOOD})
    out = tmp_path / "run"
    assert segeval(capsys, *words, "--out", out).code == 0
    before = {p.name: p.read_bytes() for p in out.iterdir()}

    move = Path.replace

    def full(self: Path, target: Any) -> Path:
        if Path(target).name in before:
            raise OSError(28, "No space left on device")
        return move(self, target)

    monkeypatch.setattr(Path, "replace", full)
    ran = segeval(capsys, *words, "--out", out)
    assert ran.code == 1
    assert "mIoU" in ran.out
    assert ran.err.startswith("segeval: ")
    assert "can't be written (no space left on device)" in ran.err
    assert {name: (out / name).read_bytes() for name in before} == before


def test_saved_runs(capsys: Capsys, tmp_path: Path) -> None:
    words = folders(tmp_path, {"a.png": GOOD}, {"a.png": GOOD})
    run = tmp_path / "run"
    segeval(capsys, *words, "--out", run)
    refused(segeval(capsys, "show", tmp_path / "nowhere"), "no saved run here; give a folder made by score --out")
    tally, result = (run / "tally.npz").read_bytes(), (run / "result.json").read_text()
    for name, data, message in (
        ("tally.npz", tally[:-30], "tally.npz: damaged tally"),
        ("tally.npz", GOOD, "tally.npz: damaged tally"),
        ("tally.npz", npz(head=np.frombuffer(b'{"format": 99}', np.uint8)), "tally format 99 is newer"),
        ("result.json", b"{", "result.json: damaged run"),
        ("result.json", b"[]", "is not a saved run"),
        ("result.json", b'{"format": 1}', "damaged run (KeyError)"),
        (
            "result.json",
            json.dumps(json.loads(result) | {"images": float("inf")}).encode(),
            "damaged run (OverflowError)",
        ),
        ("result.json", json.dumps(json.loads(result) | {"values": {"mIoU": []}}).encode(), "damaged run (TypeError)"),
        ("result.json", json.dumps(json.loads(result) | {"per_class": [{"id": 0}]}).encode(), "damaged run (KeyError)"),
        ("result.json", b'{"format": 99}', "run format 99 is newer than this segeval reads (1); upgrade"),
        (
            "result.json",
            json.dumps(json.loads(result) | {"signature": "x|y"}).encode(),
            "signature part 'y' has no ':'",
        ),
    ):
        (run / name).write_bytes(data)
        refused(segeval(capsys, "show", run), message)
        (run / "tally.npz").write_bytes(tally)
        (run / "result.json").write_text(result)
    assert segeval(capsys, "show", run).code == 0


# ---- harmless ------------------------------------------------------------------------------------------------


def test_hidden_files_and_odd_names_are_harmless(capsys: Capsys, tmp_path: Path) -> None:
    names = ["a b/ü ñ 图.png", "a b/x'\"$;|.png", "-dash.png", "dots.in.name.png", "UPPER.PNG", "%41 100%.png"]
    words = folders(tmp_path, dict.fromkeys(names, GOOD), dict.fromkeys(names, GOOD))
    for side in ("gt", "pred"):
        for hidden in (
            ".DS_Store",
            "Thumbs.db",
            "desktop.ini",
            "._a.png",
            "a b/.hidden.png",
            "__MACOSX/a.png",
            ".git/a.png",
        ):
            path = tmp_path / side / hidden
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(b"junk")
    (tmp_path / "gt" / "loop").symlink_to(tmp_path / "gt", target_is_directory=True)
    csv = tmp_path / "per image.csv"
    ran = segeval(capsys, *words, "--per-image", csv, "--format", "json", "--out", tmp_path / "rün")
    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["images"] == len(names)
    text = csv.read_text(encoding="utf-8")
    assert all(Path(name).stem.replace('"', '""') in text for name in names)
    assert segeval(capsys, "show", tmp_path / "rün").code == 0


def test_names_that_are_no_text_or_hold_escapes(capsys: Capsys, tmp_path: Path) -> None:
    odd = os.fsdecode(b"caf\xe9\x1b[31m\n2")
    try:
        words = folders(tmp_path, {odd + ".png": GOOD}, {odd + ".png": GOOD[:-5]})
    except OSError:
        pytest.skip("this file system refuses such names")
    ran = segeval(capsys, *words)
    refused(ran, "the PNG is truncated")
    assert "\x1b" not in ran.err
    (tmp_path / "pred" / (odd + ".png")).write_bytes(png_bytes(LABELS * 0 + 255))
    run = tmp_path / "run"
    ran = segeval(capsys, *words, "--classes", "3", "--per-image", tmp_path / "x.csv", "--out", run)
    assert ran.code == 0, ran.err
    assert segeval(capsys, "show", run).code == 0
    from segeval import Result

    tally = Result.load(run).tally
    assert tally is not None
    assert tally.keys == (odd,)


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
