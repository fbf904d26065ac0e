"""Saved runs: found, named, loaded, checked against their rows, and cut to some of their images."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from segeval.comparison.runs import find_runs, load_found, load_run, load_runs, short_names, subset, under_keys
from segeval.errors import SegevalError
from segeval.evidence.tally import Tally
from segeval.scoring.evaluation import score
from tests.given.resampled_runs import TASKS, run_of
from tests.given.small_runs import run_of_lines
from tests.scoring.folders import label_folders


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    for task in TASKS:
        run_of(task, 1, 6).save(tmp_path / "runs" / task / "one")
        run_of(task, 2, 6).save(tmp_path / "runs" / task / "two")
    return tmp_path / "runs"


def test_runs_are_found_once_and_named_shortly(saved):
    found = find_runs([saved / "semantic", saved, saved / "semantic" / "one"])
    assert len(found) == 6
    assert short_names(found) == [f"{t}/{n}" for t in ("semantic", "instance", "panoptic") for n in ("one", "two")]
    assert short_names([saved / "semantic" / "one", saved / "semantic" / "two"]) == ["one", "two"]
    assert list(load_runs(found)) == short_names(found)
    assert short_names(["x/a", "y/a", "b"]) == ["x/a", "y/a", "b"]
    assert short_names(["r/x/a", "r/y/a", "r/b"]) == ["x/a", "y/a", "r/b"]
    assert short_names(["x/a", "x/a", "b"]) == ["a 1", "a 2", "b 3"]
    assert short_names([]) == []
    with pytest.raises(SegevalError, match="is given twice"):
        load_runs([saved / "semantic" / "one", saved / "semantic" / ".." / "semantic" / "one"])
    with pytest.raises(SegevalError, match="no such folder"):
        find_runs([saved / "nowhere"])
    (saved / "empty").mkdir()
    with pytest.raises(SegevalError, match="holds no saved run"):
        find_runs([saved / "empty"])


@pytest.mark.parametrize("task", TASKS)
def test_a_saved_run_loads_as_it_was(saved, task):
    run, again = run_of(task, 1, 6), load_run(saved / task / "one")
    assert again.tally == run.tally
    assert np.array_equal(list(again.values.values()), list(run.values.values()), equal_nan=True)


def _edit(path: Path, change) -> None:
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d["values"].update(mIoU=0.99), "mIoU is 0.99 here but .* by the rows; it was edited"),
        (lambda d: d["per_class"][0].update(IoU=0.99), "IoU of 0 is 0.99 here but"),
        (lambda d: d["per_class"].pop(), "the number of classes is 3 here but 4"),
        (lambda d: d.update(images=7), "the number of images is 7 here but 6"),
        (lambda d: d.update(signature=d["signature"].replace("void:255", "void:9")), "the signature says void 9"),
        (lambda d: d["rule"].update(absent="zero"), "the signature says absent skip and the rows zero"),
        (lambda d: d["rule"].update(spell="x"), "unknown option 'spell'"),
        (lambda d: d["rule"].update(task="panoptic"), "unknown option 'average'"),
        (lambda d: d.update(task="panoptic"), "task panoptic and its tally of the task semantic"),
        (lambda d: d.update(format=99), "newer than this segeval reads"),
        (lambda d: d.update(saved=[]), "no tally.npz"),
        (lambda d: d.pop("values"), "damaged run"),
    ],
)
def test_edited_newer_and_other_runs_are_refused(saved, change, message):
    _edit(saved / "semantic" / "one" / "result.json", change)
    with pytest.raises(SegevalError, match=message) as caught:
        load_run(saved / "semantic" / "one")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["result.json", "tally.npz"])
@pytest.mark.parametrize("share", [0.0, 0.5, 0.95])
def test_truncated_runs_are_refused(saved, name, share):
    path = saved / "panoptic" / "one" / name
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(SegevalError, match=r"damaged|not a saved run"):
        load_run(saved / "panoptic" / "one")


def test_the_tally_of_another_run_is_refused(saved):
    (saved / "semantic" / "one" / "tally.npz").write_bytes((saved / "semantic" / "two" / "tally.npz").read_bytes())
    with pytest.raises(SegevalError, match="edited, or its files are of two runs"):
        load_run(saved / "semantic" / "one")
    (saved / "semantic" / "one" / "tally.npz").write_bytes((saved / "panoptic" / "two" / "tally.npz").read_bytes())
    with pytest.raises(SegevalError, match="of the task semantic and its tally of the task panoptic"):
        load_run(saved / "semantic" / "one")


def test_a_tally_keeps_its_rows_through_a_file(saved):
    tally = Tally.load(saved / "instance" / "one" / "tally.npz")
    assert replace(tally, duplicates=0) == run_of("instance", 1, 6).tally


def test_runs_that_cannot_be_used_are_left_out_and_named(saved):
    whole, left = load_found(find_runs([saved / "semantic"]))
    assert whole
    assert not left
    broken = saved / "semantic" / "broken"
    broken.mkdir()
    (broken / "result.json").write_text("")
    again, left = load_found(find_runs([saved / "semantic"]))
    assert list(again) == list(whole)
    assert [c.code for c in left] == ["run-left-out"]
    assert "broken" in left[0].message
    with pytest.raises(SegevalError, match="damaged run"):
        load_found([broken])


# ---- parts of runs, and names of images ----------------------------------------------------------------------------

LINES = {"a": ([0, 1], [0, 1]), "b": ([0, 1], [1, 0]), "c": ([2, 2], [2, 0])}


def test_a_subset_is_scored_from_its_rows_under_the_classes_of_the_whole() -> None:
    run = run_of_lines(LINES, classes=None).with_(provenance={"gt": "somewhere"})
    part = subset(run, ["a", "b"])
    assert (run["aAcc"], part["aAcc"], part.images) == (3 / 6, 2 / 4, 2)
    assert [row["id"] for row in part.per_class] == [0, 1, 2]  # class 2 is in image c alone
    assert part.per_class[2]["IoU"] != part.per_class[2]["IoU"]
    assert dict(part.provenance) == {"gt": "somewhere"}


def test_a_subset_needs_rows_and_images_that_are_there() -> None:
    run = run_of_lines(LINES, classes=3)
    with pytest.raises(SegevalError, match="no image 'd' in this run; name images that were scored"):
        subset(run, ["a", "d"])
    assert run.tally is not None
    for tally in (None, run.tally.collapse()):
        with pytest.raises(SegevalError, match="keeps no rows by image; score again with --out, without collapsing"):
            subset(run.with_(tally=tally), ["a"])


def test_images_may_go_by_the_names_of_their_files(tmp_path: Path) -> None:
    gt = tmp_path / "truth.json"
    files = [{"id": 7, "file_name": "night/one.jpg"}, {"id": 8, "file_name": "two.jpg"}]
    gt.write_text(json.dumps({"images": files, "annotations": [], "categories": []}))
    run = run_of_lines({7: ([0], [0]), 8: ([0], [0])}).with_(provenance={"gt": str(gt)})
    assert under_keys({"night/one.jpg": "dark", "two": "light"}, [run]) == {"7": "dark", "8": "light"}
    assert under_keys({"7": "dark"}, [run]) == {"7": "dark"}
    with pytest.raises(SegevalError, match=r"the image 8 is named twice, as 'two' too; keep one line"):
        under_keys({"8": "dark", "two": "light"}, [run])
    gt.unlink()
    assert under_keys({"two": "light"}, [run]) == {"two": "light"}


def test_a_shard_is_no_run_unless_shards_will_do(tmp_path: Path) -> None:
    pred, gt = label_folders(tmp_path)
    folder = score(pred, gt, task="semantic", shard="2/3").save(tmp_path / "part")
    with pytest.raises(SegevalError, match="is shard 2 of 3, no whole run; add the shards with segeval merge"):
        load_run(folder)
    assert load_run(folder, shards=True).images == 4
