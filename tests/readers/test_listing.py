"""Names and files: what pairs, what is left out and told, and names that look alike."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segeval import SegevalError, score
from segeval.readers.listing import frame_name, list_files, look_alike, plain_name
from segeval.readers.maps.labels import EXTENSIONS
from segeval.readers.protocol import Notes
from tests.given.problems import png_bytes, write_panoptic

RNG = np.random.default_rng(6)
MAPS = [np.kron(RNG.integers(0, 3, (4, 5)), np.ones((3, 3), int)).astype(np.uint8) for _ in range(6)]


def written(folder: Path, *names: str) -> Path:
    """The maps under some names, each in the coding that its name says."""
    for name, labels in zip(names, MAPS, strict=False):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".png":
            path.write_bytes(png_bytes(labels))
        else:
            Image.fromarray(labels).save(path)
    return folder


def paired(tmp_path: Path, gt: list[str], pred: list[str]) -> int:
    """How many images pair, each of them with its own map."""
    result = score(written(tmp_path / "pred", *pred), written(tmp_path / "gt", *gt), task="semantic", classes=3)
    assert result["aAcc"] == 1
    return result.images


@pytest.mark.parametrize(
    ("gt", "pred"),
    [
        (["é.png", "ü.png"], ["e\u0301.png", "u\u0308.png"]),
        (["ü/é_gt.png"], ["u\u0308/e\u0301.png"]),
        (["a.jpg.png", "b.jpg.png"], ["a.png", "b.png"]),
        (["a.JPG.png", "b.tif.png"], ["a.png", "b.bmp.png"]),
        (["a.jpg_mask.png"], ["a.png"]),
        (["a_mask.png", "b_mask.png"], ["a.jpg_pred.png", "b_pred.jpg.png"]),
        (
            ["t_000000_000512_1.png", "t_000000_000512_2.png"],
            ["t_000000_000512_1_pred.png", "t_000000_000512_2_pred.png"],
        ),
        (["t_000000_000512.png", "t_000000_001024.png"], ["t_000000_000512_ours.png", "t_000000_001024_ours.png"]),
        (["c/c_000000_000019_gtFine_labelIds.png"], ["c_000000_000019_anything.png"]),
        (["a.png", "a_mask.png"], ["a.png", "a_mask.png"]),
        (["v1.2.png", "v1.3.png"], ["v1.2.png", "v1.3.png"]),
    ],
)
def test_what_pairs(tmp_path: Path, gt: list[str], pred: list[str]) -> None:
    assert paired(tmp_path, gt, pred) == len(gt)


def test_what_a_model_adds_to_a_frame_is_no_matter_in_predictions_only(tmp_path: Path) -> None:
    frame = "t_000000_000512"
    with pytest.raises(SegevalError, match="no image has both"):
        paired(tmp_path, [f"{frame}_a.png", "x.png"], [f"{frame}.png", "y.png"])


@pytest.mark.parametrize(
    ("gt", "pred", "parts"),
    [
        (["t_000000_000512_1.png", "u_1.png"], ["t_000000_000512_2.png", "u_2.png"], ["no image has both"]),
        (["t_000000_000512_1.png", "b.png"], ["t_000000_000512_1.png", "c.png"], ["no prediction: b;"]),
        (["t_000000_000512_a.png", "b.png"], ["t_000000_000512_b.png", "b.png"], ["no prediction: t_000000_000512_a"]),
        (["a.png", "a_mask.png", "b.png"], ["a.png", "a_mask.png", "c.png"], ["no prediction: b;"]),
        (["a_gt.png", "a_mask.png"], ["a_pred.png", "b.png"], ["two truth files for one image", "--gt-suffix"]),
        (["a.jpg.png", "a.tif.png"], ["a.png", "b.png"], ["two truth files for one image"]),
        (["10.png", "b.png"], ["010.png", "b.png"], ["no prediction: 10;"]),
    ],
)
def test_what_does_not_pair(tmp_path: Path, gt: list[str], pred: list[str], parts: list[str]) -> None:
    with pytest.raises(SegevalError) as caught:
        paired(tmp_path, gt, pred)
    for part in parts:
        assert part in str(caught.value)


def test_plain_and_frame_names() -> None:
    assert plain_name("a/b.jpg") == "a/b"
    assert plain_name("a.jpg/b") == "a.jpg/b"
    assert plain_name(".jpg") == ".jpg"
    assert plain_name("a.v2_mask.TIF") == "a.v2"
    assert plain_name("e\u0301") == "é"
    assert frame_name("x/aachen_000000_000019_leftImg8bit_ours") == "x/aachen_000000_000019"
    assert frame_name("t_000000_000512_1") == "t_000000_000512_1"
    assert frame_name("t_000000_000512_12_3") == "t_000000_000512_12_3"


# ---- names that look alike -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mine", "theirs", "words"),
    [
        ("caf\u0435", "cafe", r"; 'caf\u0435' and 'cafe' look alike: at character 4 one has U+0435, the other U+0065"),
        ("a\u00a0b", "a b", "at character 2 one has U+00A0, the other U+0020"),
        ("a", "a\u200b", "at character 2 one has the end, the other U+200B"),
        ("a ", "a", "'a ' and 'a' look alike: at character 2 one has U+0020, the other the end"),
        ("A", "a", "at character 1 one has U+0041, the other U+0061"),
    ],
)
def test_what_looks_alike_is_told_apart(tmp_path: Path, mine: str, theirs: str, words: str) -> None:
    assert words in look_alike(["x", mine], ["y", theirs])
    for others in ([], ["other.png"]):
        for folder in ("gt", "pred"):
            for path in (tmp_path / folder).glob("*") if (tmp_path / folder).is_dir() else ():
                path.unlink()
        with pytest.raises(SegevalError) as caught:
            paired(tmp_path, [f"{mine}.png", *others], [f"{theirs}.png", *others])
        assert words.lstrip("; ") in str(caught.value)


def test_what_looks_different_needs_no_word() -> None:
    assert look_alike(["a", "b"], ["c", "d"]) == ""
    assert look_alike([], ["c"]) == ""
    assert look_alike(["a"], ["a"]) == ""


def test_ids_that_are_numbers_and_text(tmp_path: Path) -> None:
    ids, segments = np.full((4, 4), 9), [{"id": 9, "category_id": 1}]
    sides = []
    for name, keys in (("gt", (10, 20)), ("pred", ("10", "20"))):
        listed = [{"id": 1, "name": "x", "isthing": 1}] if name == "gt" else None
        sides.append(write_panoptic(tmp_path / name, [(key, ids, segments) for key in keys], listed))
    with pytest.raises(SegevalError) as caught:
        score(sides[1], sides[0], task="panoptic")
    text = str(caught.value)
    assert (
        'truth has 10, 20, prediction has "10", "20"; one file writes image ids as numbers, the other as text' in text
    )
    assert text.endswith("write image ids as their truth")


# ---- what is left out ------------------------------------------------------------------------------------------


def left_out(folder: Path, task: str = "semantic") -> tuple[list[str], list[str]]:
    notes = Notes()
    files = list_files(folder, EXTENSIONS, task, "", notes)
    return sorted(p.name for p in files.values()), [c.message for c in notes.cautions("truth", ())]


@pytest.mark.parametrize("extension", [".bmp", ".gif", ".webp", ".jpg", ".jpeg"])
def test_pictures_beside_label_maps_are_counted_and_named(tmp_path: Path, extension: str) -> None:
    for side in ("gt", "pred"):
        written(tmp_path / side, "a.png", "b.png", f"a{extension}", f"c{extension}")
    result = score(tmp_path / "pred", tmp_path / "gt", task="semantic", classes=3)
    assert result.images == 2
    told = [w.message for w in result.warnings if w.code == "files-left-out"]
    assert told == [
        f"{side}: {extension} files are not read beside .png files (2 files, the first is a{extension})"
        for side in ("truth", "prediction")
    ]
    with pytest.raises(SegevalError, match=rf"no prediction: d \(left out of the prediction: \{extension} files are"):
        score(tmp_path / "pred", written(tmp_path / "gt", "a.png", "b.png", "d.png"), task="semantic")


def test_the_best_kind_counts(tmp_path: Path) -> None:
    folder = written(tmp_path, "a.bmp", "b.gif", "c.webp", "a.jpg", "d.jpg")
    assert left_out(folder) == (
        ["a.bmp", "b.gif", "c.webp"],
        ["truth: .jpg files are not read beside .bmp files (2 files, the first is a.jpg)"],
    )
    for name in ("a.bmp", "b.gif", "c.webp"):
        (folder / name).unlink()
    assert left_out(folder) == (["a.jpg", "d.jpg"], [])


def test_other_files_are_told_but_for_texts(tmp_path: Path) -> None:
    folder = written(tmp_path, "a.png")
    for name in ("b.nii.gz", "c.mat", "classes.txt", "meta.json", "README", "a.tfw", ".hidden.mat"):
        (folder / name).write_bytes(b"x")
    assert left_out(folder) == (
        ["a.png"],
        ["truth: .gz files are not read (b.nii.gz)", "truth: .mat files are not read (c.mat)"],
    )


def test_cityscapes_files_that_are_not_meant_are_told(tmp_path: Path) -> None:
    kinds = ("labelIds", "instanceIds", "color")
    folder = written(tmp_path, *(f"c_000000_000019_gtFine_{kind}.png" for kind in kinds))
    assert left_out(folder) == (
        ["c_000000_000019_gtFine_labelIds.png"],
        [
            "truth: *_color files are pictures of the labels, and are not read (c_000000_000019_gtFine_color.png)",
            "truth: files of images that have a *_labelIds file beside are not read "
            "(c_000000_000019_gtFine_instanceIds.png)",
        ],
    )
    assert left_out(folder, "instance")[0] == ["c_000000_000019_gtFine_instanceIds.png"]


def test_both_ways_to_write_an_accent_in_one_folder(tmp_path: Path) -> None:
    """Where a file system keeps both, they are two images, and each pairs with its own."""
    names = [f"{unicodedata.normalize(form, 'é')}.png" for form in ("NFC", "NFD")]
    written(tmp_path / "gt", *names)
    if len(list((tmp_path / "gt").iterdir())) == 2:
        assert paired(tmp_path, names, names) == 2
