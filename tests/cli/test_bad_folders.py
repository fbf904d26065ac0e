"""Folders that lack images, hold too many or unreadable ones; and names that are odd but harmless."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.cli.commands import segeval
from tests.cli.refusals import (
    GOOD,
    LABELS,
    Capsys,
    folders,
    npy,
    refused,
)
from tests.given.problems import png_bytes


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
        segeval(capsys, *words),
        "pred: no .png, .npy, .npz, .tif, .tiff, .bmp, .gif, .webp, .jpg, .jpeg in this folder, it is empty; give the",
    )
    (tmp_path / "pred" / "a.heic").write_bytes(b"x")
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
