"""Suites are checked before anything runs, and say in one line what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from segeval_baselines.suite.reading import read_suite, shipped

from segeval.errors import SegevalError
from tests.baselines.suite.toy_suite import TEXT, read, write_suite


def test_shipped_suites_are_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(shipped()) == {"camvid", "camvid-full", "coco", "nuclei", "quick", "street"}
    for name in shipped():
        for place in ("CAMVID", "CITYSCAPES", "COCO", "DSB2018"):
            monkeypatch.setenv(place, "/data/somewhere")
        suite = read_suite(name)
        assert suite.name == name
        assert suite.about
        assert all(m.iterations > 0 and m.seconds > 0 for m in suite.members if m.model)
        tasks = {m.task for m in suite.members if m.model}
        assert {task for m in suite.members if m.reference for task in [m.task]} == tasks


def test_the_camvid_suite_says_what_is_published(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAMVID", "/data/camvid")
    suite = read_suite("camvid")
    assert suite.data["camvid"].spec == "camvid:/data/camvid"
    budgets = {m.name: m.iterations for m in suite.members if m.model}
    assert budgets == {
        "fcn": 460,
        "segnet": 1190,
        "unet": 790,
        "pspnet": 650,
        "deeplabv3": 680,
        "deeplabv3plus": 550,
    }
    assert all(m.seeds == (0, 1, 2) for m in suite.members if m.model)


def test_places_are_filled_from_words_or_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_suite(tmp_path)
    monkeypatch.delenv("TOY", raising=False)
    with pytest.raises(SegevalError, match=r"toy\.toml: where TOY is isn't known; give --data TOY=PATH"):
        read_suite(path)
    assert read(path).data["toy"].spec == f"folder:{tmp_path / 'data'}"
    assert read_suite(path, ["toy=scenes:5"]).data["toy"].spec == "scenes:5"
    monkeypatch.setenv("TOY", "/there")
    assert read_suite(path).data["toy"].spec == "folder:/there"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("[defaults]", "[default]"), r"a suite has no 'default'; did you mean defaults\?"),
        (("unet", "unett"), r"there is no model 'unett'; did you mean unet\?"),
        (("rate = 0.002", "rat = 0.002"), r"recipe of pspnet has no 'rat'; did you mean rate\?"),
        (("iterations = 4", "iteration = 4"), r"has no 'iteration'; did you mean iterations\?"),
        (("iterations = 4", "iterations = 0"), "has no budget"),
        (("iterations = 4", "iterations = 'many'"), "iterations of member 'unet' can't be 'many'; give a whole number"),
        (("seeds = [0, 1]", "seeds = []"), "no usable seeds"),
        (("seeds = [0, 1]", "seeds = [1, 1]"), "no usable seeds"),
        (("seeds = [0, 1]", "seeds = 3"), "seeds of member 'unet' can't be 3; give whole numbers"),
        (("iterations = 4", "iterations = 4\npreset = 'huge'"), "unet has no preset 'huge'"),
        (("iterations = 4", "iterations = 4\ndata = 'toys'"), r"there is no data 'toys'; did you mean toy\?"),
        (("width = 4, depth", "breadth = 4, depth"), "unet can't be built"),
        (('model = "pspnet"', 'model = "unet"'), "has two members 'unet'"),
        (('model = "pspnet"', 'model = "pspnet"\nname = "../x"'), r"'\.\./x' is no name"),
        (("[data.toy]", "references = ['colours']\n[data.toy]"), r"no reference 'colours'; did you mean colour\?"),
        (("rate = 0.002", "rate = -1.0"), "rate -1.0 makes no sense"),
        (("[defaults]", "score = 'val'\n[defaults]"), "would choose its weights on the split that is scored"),
        (('model = "unet"', 'model = "unet"\ninstances = "watershet"'), r"did you mean watershed\?"),
        (("[defaults]", "score = 'tests'\n[defaults]"), "there is no split 'tests'"),
        (("folder:", "folder = :"), "is no TOML"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    text = TEXT.replace(*change) if change[0] != "folder:" else TEXT.replace('"folder:', "folder:")
    assert text != TEXT
    with pytest.raises(SegevalError, match=message) as caught:
        read(write_suite(tmp_path, text))
    assert "\n" not in str(caught.value)
    assert "toy.toml" in str(caught.value)


def test_unknown_suites_and_data_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SegevalError, match=r"there is no suite 'camvit'; did you mean camvid\?"):
        read_suite("camvit")
    with pytest.raises(SegevalError, match=r"the suite has no data 'TOI'; did you mean TOY\?"):
        read_suite(write_suite(tmp_path), ["TOY=a", "TOI=b"])
    with pytest.raises(SegevalError, match="'TOY' gives no data"):
        read_suite(write_suite(tmp_path), ["TOY"])
    with pytest.raises(SegevalError, match=r"has no member 'unit'; did you mean unet\?"):
        read(write_suite(tmp_path)).member("unit")
