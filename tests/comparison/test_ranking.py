"""Leaderboards, and the runs that they find."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segeval.comparison.ranking import letter_groups, rank_runs
from segeval.comparison.ranking_tables import FORMS, render
from segeval.comparison.runs import find_runs, load_run, load_runs, short_names
from segeval.errors import SegevalError
from segeval.evidence.tally import Tally
from segeval.statistics.attributes import group_of_image, read_attributes, read_groups
from segeval.statistics.resampling import Interval
from tests.given.resampled_runs import TASKS, run_of

FAST = Interval(resamples=60)


@given(st.integers(1, 7), st.data())
def test_two_share_a_letter_exactly_if_they_are_not_apart(count, data):
    pairs = [frozenset((a, b)) for a in range(count) for b in range(a)]
    apart = data.draw(st.sets(st.sampled_from(pairs))) if pairs else set()
    letters = letter_groups(count, apart)
    for a in range(count):
        for b in range(a):
            assert (not set(letters[a]) & set(letters[b])) == (frozenset((a, b)) in apart)
    # No letter can be left out: its members are those of no other.
    members = [{i for i in range(count) if c in letters[i]} for c in sorted(set("".join(letters)))]
    assert not any(m < n for m in members for n in members)


def test_one_board_a_task_best_first():
    runs = {f"{task}{seed}": run_of(task, seed, 8) for seed in range(3) for task in TASKS}
    boards = rank_runs(runs, interval=FAST)
    assert [(b.task, b.metric) for b in boards] == [("semantic", "mIoU"), ("panoptic", "PQ"), ("instance", "AP")]
    for board in boards:
        values = [e.result[board.metric] for e in board.entries]
        assert values == sorted(values, reverse=True)
        assert [e.rank for e in board.entries] == [1, 2, 3]
        assert {e.name for e in board.entries} == {n for n in runs if n.startswith(board.task)}
        assert len(board.p) == 3
        assert not board.varying


def test_sort_and_columns():
    runs = {str(seed): run_of("panoptic", seed, 8) for seed in range(4)}
    (board,) = rank_runs(runs, sort="RQ", columns=["PQ", "tp"][:1], interval=FAST)
    assert board.columns == ("RQ", "PQ")
    values = [e.result["RQ"] for e in board.entries]
    assert values == sorted(values, reverse=True)
    with pytest.raises(SegevalError, match="no run has the value 'mIoU'; give one of PQ"):
        rank_runs(runs, sort="mIoU")


def test_equal_runs_share_rank_and_letter():
    run = run_of("semantic", 1, 8)
    (board,) = rank_runs({"x": run, "y": run}, interval=FAST)
    assert [(e.rank, e.name, e.letters) for e in board.entries] == [(1, "x", "a"), (1, "y", "a")]


def test_other_conventions_make_another_board():
    runs = {"a": run_of("semantic", 1, 8), "b": run_of("semantic", 2, 8, absent="zero"), "c": run_of("semantic", 3, 8)}
    one, two = rank_runs(runs, interval=FAST)
    assert ({e.name for e in one.entries}, dict(one.varying)) == ({"a", "c"}, {"absent": "skip"})
    assert ({e.name for e in two.entries}, dict(two.varying)) == ({"b"}, {"absent": "zero"})
    text = render([one, two])
    assert "(absent: skip)" in text
    assert "(absent: zero)" in text


@pytest.mark.parametrize("form", FORMS)
def test_every_form_holds_every_run(form):
    runs = {"plain": run_of("semantic", 1, 8), "x_<b>|&": run_of("semantic", 2, 8), "p": run_of("panoptic", 2, 8)}
    text = render(rank_runs(runs, interval=FAST), form)
    escaped = {"markdown": r"x_<b>\|&", "latex": r"x\_<b>|\&", "html": "x_&lt;b&gt;|&amp;"}
    assert escaped.get(form, "x_<b>|&") in text
    if form == "latex":
        assert text.count(r"\toprule") == 2
    if form == "json":
        assert [len(b["entries"]) for b in json.loads(text)] == [2, 1]
    if form == "csv":
        rows = list(csv.DictReader(io.StringIO(text)))
        values = dict(zip([r["system"] for r in rows], [r["mIoU"] for r in rows], strict=True))
        assert float(values["plain"]) == runs["plain"]["mIoU"]
        assert values["p"] == ""


# ---- saved runs ----------------------------------------------------------------------------------------------------


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


def test_a_run_without_images_is_refused():
    run = run_of("panoptic", 1, 3)
    nothing = run.metric.score(run.tally.take([]))
    with pytest.raises(SegevalError, match=r"no rows by image|no image"):
        rank_runs({"a": nothing, "b": nothing}, interval=FAST)


def test_a_tally_keeps_its_rows_through_a_file(saved):
    tally = Tally.load(saved / "instance" / "one" / "tally.npz")
    assert replace(tally, duplicates=0) == run_of("instance", 1, 6).tally


# ---- attributes ----------------------------------------------------------------------------------------------------


def test_attributes_from_csv_and_json(tmp_path):
    table = {"a.png": {"light": "day", "cars": "3"}, "b": {"light": "night"}}
    path = tmp_path / "attributes.csv"
    path.write_text("\ufeffimage,light,cars\na.png,day,3\n\nb,night,\n", encoding="utf-8")
    assert read_attributes(path) == table
    path = tmp_path / "attributes.json"
    path.write_text(json.dumps({"a.png": {"light": "day", "cars": 3}, "b": {"light": "night", "cars": None}}))
    assert read_attributes(path) == table
    path.write_text(json.dumps([{"image": "a.png", "light": "day", "cars": 3}, {"image": "b", "light": "night"}]))
    assert read_attributes(path) == table
    path.write_text(json.dumps({"a": "one", "b": "two"}))
    assert read_groups(path) == {"a": "one", "b": "two"}
    path.write_text(json.dumps({"a": {"rain": True}}))
    assert read_attributes(path) == {"a": {"rain": "yes"}}


def test_an_image_that_two_spellings_name_is_refused():
    with pytest.raises(SegevalError, match=r"the groups name the image 'a' twice, as 'a.png' too"):
        group_of_image(["a", "b"], {"a": "day", "a.png": "night", "b": "day"})


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("x.csv", "", "is empty"),
        ("x.csv", "image\na\n", "has the header 'image'"),
        ("x.csv", "image,light,light\na,1,2\n", "different names"),
        ("x.csv", "image,light\na\n", "row 2 has 1 cells"),
        ("x.csv", "image,light\na,day\na,day\n", "image 'a' is listed twice"),
        ("x.csv", "image,light\na,\n", "says nothing"),
        ("x.json", "{", "is not JSON"),
        ("x.json", "3", "holds no attributes"),
        ("x.json", '{"a": {"light": [1]}}', "'light' of image 'a' is no single value"),
        ("x.json", "{}", "says nothing"),
    ],
)
def test_attributes_that_can_not_be_read(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(SegevalError, match=message) as caught:
        read_attributes(tmp_path / name)
    assert name in str(caught.value)


def test_attribute_files_that_are_none(tmp_path):
    (tmp_path / "x.csv").write_bytes(b"image,light\n\xff\xfe,day\n")
    with pytest.raises(SegevalError, match="not UTF-8"):
        read_attributes(tmp_path / "x.csv")
    with pytest.raises(SegevalError, match="can't be read"):
        read_attributes(tmp_path / "absent.csv")
    (tmp_path / "g.csv").write_text("image,a,b\nx,1,2\n")
    with pytest.raises(SegevalError, match="2 columns besides the image"):
        read_groups(tmp_path / "g.csv")


def test_runs_that_cannot_be_used_are_left_out_and_named(saved):
    from segeval.comparison.runs import find_runs, load_found

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
