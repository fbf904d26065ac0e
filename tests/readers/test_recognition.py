"""What a path holds: one answer, from which format and task are derived."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segeval import SegevalError, score
from segeval.readers import recognition
from segeval.readers.classes import taxonomy_of_categories
from segeval.readers.coco.tables import form_of_json, read_tables
from segeval.readers.formats import FORMATS, Format, check_format, fitting, format_of
from segeval.readers.maps.labels import LabelFolder
from segeval.readers.protocol import Side
from segeval.readers.reading import Reading
from segeval.readers.recognition import Told, recognise, recognise_task, tell
from segeval.readers.sources import open_pairs
from tests.given.problems import colours, png_bytes, write_panoptic

IDS = np.kron(np.array([[1, 2], [3, 4]]), np.ones((3, 4), int))
TRUTH = {
    "images": [{"id": 1, "file_name": "1.png", "height": 6, "width": 8}],
    "annotations": [],
    "categories": [{"id": 1, "name": "a"}],
}
BOX = {"image_id": 1, "category_id": 1, "bbox": [0, 0, 2, 2], "segmentation": [[0, 0, 2, 0, 2, 2, 0, 2]]}
SEGMENTS = [{"id": 1, "category_id": 1}]
COLOUR = "is a colour PNG without a panoptic JSON in or beside its folder"
WIDE = "holds uint16 values: class ids, instance ids, or class \\* 1000 \\+ instance"


def channels() -> Any:
    return np.stack([IDS, IDS > 2, 0 * IDS], axis=-1).astype(np.uint8)


def npz(path: Path, **arrays: Any) -> None:
    np.savez(path, **arrays)


def text(path: Path, content: Any) -> None:
    path.write_text(content if isinstance(content, str) else json.dumps(content))


def png(path: Path, pixels: Any) -> None:
    path.write_bytes(png_bytes(pixels))


# The file, and the format and the task that it is told to be; what is raised instead is a text with spaces.
HELD: dict[str, tuple[str, Callable[[Path], None], str, str]] = {
    "labels": ("a.png", lambda p: png(p, IDS.astype(np.uint8)), "labels", "semantic"),
    "wide": ("a.png", lambda p: png(p, IDS.astype(np.uint16)), WIDE, WIDE),
    "channels": ("a.png", lambda p: png(p, channels()), "panoptic-channels", "panoptic"),
    "colours": ("a.png", lambda p: png(p, colours(IDS * 70000)), COLOUR, "panoptic"),
    "masks": ("a.npz", lambda p: npz(p, masks=IDS[None] == 1), "instance-npz", "instance"),
    "a map in an archive": ("a.npz", lambda p: npz(p, labels=IDS.astype(np.uint8)), "labels", "semantic"),
    "instances": ("a.json", lambda p: text(p, TRUTH | {"annotations": [BOX]}), "coco-instances", "instance"),
    "no instances": ("a.json", lambda p: text(p, TRUTH), "coco-instances", "instance"),
    "results": ("a.json", lambda p: text(p, [BOX]), "coco-results", "is no COCO truth"),
    "neither": ("a.json", lambda p: text(p, {"a": 1}), "coco-instances", "is no COCO truth"),
    "empty object": ("a.json", lambda p: text(p, {}), "coco-instances", "is no COCO truth"),
    "broken": (
        "a.json",
        lambda p: text(p, '{"annotations": ['),
        "malformed JSON at line 1",
        "malformed JSON at line 1",
    ),
}


@pytest.mark.parametrize("name", HELD)
def test_what_is_told(tmp_path: Path, name: str) -> None:
    file, write, form, task = HELD[name]
    folder = tmp_path / "held"
    folder.mkdir()
    write(folder / file)
    place = folder / file if file.endswith(".json") else folder
    for ask, wanted in ((partial(recognise, place, "--from"), form), (partial(recognise_task, place), task)):
        if " " in wanted:
            with pytest.raises(SegevalError, match=wanted):
                ask()
        else:
            assert ask() == wanted


def test_remedies_name_the_option_of_the_question(tmp_path: Path) -> None:
    png(tmp_path / "a.png", IDS.astype(np.uint16))
    with pytest.raises(SegevalError, match="say which by --task semantic, --task instance or --task panoptic"):
        recognise_task(tmp_path)
    with pytest.raises(SegevalError, match="say which by --x labels, --x instance-ids or --x panoptic-coded"):
        recognise(tmp_path, "--x")
    assert recognise(tmp_path, "--x", task="panoptic") == "panoptic-coded"
    png(tmp_path / "a.png", colours(IDS * 70000))
    for task in ("", "panoptic"):
        with pytest.raises(SegevalError, match=f"{COLOUR}; give the JSON instead .* or name the format by --x"):
            recognise(tmp_path, "--x", task=task)


def test_no_more_is_read_than_the_question_needs(tmp_path: Path) -> None:
    """Within a task a damaged file is the reader's to find, image by image."""
    (tmp_path / "a.png").write_bytes(b"no PNG")
    (tmp_path / "a.json").write_text("no JSON")
    assert tell(tmp_path, "semantic") == Told(("labels",), tmp_path)
    assert recognise(tmp_path, "", task="instance", side="truth") == "instance-ids"
    assert recognise(tmp_path / "a.json", "", task="instance", side="truth") == "coco-instances"
    assert recognise(tmp_path / "a.json", "", task="instance", side="prediction") == "coco-results"
    assert recognise(tmp_path / "a.json", "", task="panoptic") == "coco-panoptic"
    for path in (tmp_path, tmp_path / "a.json"):
        with pytest.raises(SegevalError):
            tell(path)


def test_only_files_of_the_suffix_are_looked_at(tmp_path: Path) -> None:
    """Else the form of the one would be told by the other."""
    png(tmp_path / "a_classes.png", IDS.astype(np.uint8))
    png(tmp_path / "a_ids.png", (1000 * IDS + 1).astype(np.uint16))
    assert recognise_task(tmp_path, "_classes") == "semantic"
    assert recognise(tmp_path, "", suffix="_classes") == "labels"
    both = {"gt_suffix": "_classes", "pred_suffix": "_classes"}
    assert score(tmp_path, tmp_path, **both).task == "semantic"
    with pytest.raises(SegevalError, match=r"a_ids\.png: holds uint16 values"):
        score(tmp_path, tmp_path, gt_suffix="_ids", pred_suffix="_ids")


def test_a_folder_with_its_json(tmp_path: Path) -> None:
    write_panoptic(tmp_path / "gt", [(1, IDS, SEGMENTS)], TRUTH["categories"])  # type: ignore[arg-type]
    folder = next(p.parent for p in (tmp_path / "gt").rglob("*.png"))
    assert recognise(folder, "--from") == "coco-panoptic"
    assert recognise_task(folder) == "panoptic"
    assert recognise_task(tmp_path / "gt" / "panoptic.json") == "panoptic"


def test_a_format_of_the_other_side_is_refused(tmp_path: Path) -> None:
    assert check_format("coco-results", "instance") == "coco-results"
    with pytest.raises(
        SegevalError, match="'coco-results' is a format of the prediction, not of the truth; give one of"
    ):
        score(tmp_path, tmp_path, task="instance", gt_format="coco-results")
    with pytest.raises(
        SegevalError, match="'coco-instances' is a format of the truth, not of the prediction; give one"
    ):
        score(tmp_path, tmp_path, task="instance", pred_format="coco-instances")


def test_maps_have_no_boxes_beside_a_format_of_a_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    truth = TRUTH | {"annotations": [BOX]}
    text(tmp_path / "gt.json", truth)
    (tmp_path / "maps").mkdir()
    png(tmp_path / "maps" / "1.png", IDS.astype(np.uint8))
    brought = Format("instance", "ours again", reader=lambda side: FORMATS["coco-instances"].reader(side))  # type: ignore[misc]
    monkeypatch.setattr("segeval.readers.formats.own_or_plugin", lambda name, own, *_: own.get(name, brought))
    source = open_pairs(Reading(tmp_path / "maps", tmp_path / "gt.json", gt_format="again"), "instance")
    assert source.keys() == (1,)
    with pytest.raises(SegevalError, match="maps of instances hold masks, no boxes"):
        open_pairs(Reading(tmp_path / "maps", tmp_path / "gt.json", gt_format="again"), "instance", masks=False)


def test_a_format_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its opener gets all that is said of a side; what can't be told from others is opened where it is named."""
    seen: list[Side] = []

    def open_more(side: Side) -> LabelFolder:
        seen.append(side)
        return LabelFolder.open(side.path, side.name, side.suffix)

    monkeypatch.setitem(FORMATS, "more", Format("semantic", "labels again", reader=open_more))
    for side in ("gt", "pred"):
        (tmp_path / side).mkdir()
        png(tmp_path / side / "a_x.png", IDS.astype(np.uint8))
    assert recognise(tmp_path / "gt", "--from") == "labels"
    pred, gt = tmp_path / "pred", tmp_path / "gt"
    wanted = score(pred, gt, classes=5)
    assert seen == []
    found = score(pred, gt, task="semantic", gt_format="more", gt_suffix="_x", classes=5)
    assert found.values == wanted.values
    assert [(side.name, side.form, side.suffix, side.path) for side in seen] == [("truth", "more", "_x", gt)]
    assert seen[0].taxonomy is not None


def test_every_format_can_be_opened() -> None:
    for name in FORMATS:
        assert format_of(name).reader is not None
    assert set(recognition.JSON) | set(recognition.MAPS) == set(FORMATS)
    assert fitting("instance", "truth") == ["coco-instances", "instance-ids", "instance-npz"]


# ---- the walk along a JSON's top level ----

SCALARS = st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-5, 5) | st.text(max_size=4)
VALUES = st.recursive(
    SCALARS,
    lambda more: st.lists(more, max_size=3) | st.dictionaries(st.text(max_size=3), more, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from(["images", "annotations", "categories", "info", "segments_info", "ä", 'a"b', ""])
RECORDS = st.lists(st.dictionaries(NAMES, VALUES, max_size=3), max_size=3)
DOCUMENTS = st.dictionaries(NAMES, VALUES | RECORDS, max_size=4) | RECORDS | VALUES


def plain_form(data: Any) -> str:
    if isinstance(data, list):
        return "coco-results"
    if not isinstance(data, dict) or not isinstance(data.get("annotations"), list):
        return ""
    first = (data["annotations"] or [None])[0]
    return "coco-panoptic" if isinstance(first, dict) and "segments_info" in first else "coco-instances"


@settings(max_examples=300, deadline=None)
@given(DOCUMENTS, st.sampled_from([None, 1]), st.booleans(), st.sampled_from(["", "\ufeff"]))
def test_the_walk_finds_what_the_standard_library_does(
    tmp_path_factory: pytest.TempPathFactory, data: Any, indent: int | None, ascii_only: bool, mark: str
) -> None:
    path = tmp_path_factory.mktemp("walk") / "a.json"
    path.write_text(mark + json.dumps(data, indent=indent, ensure_ascii=ascii_only), encoding="utf-8")
    assert form_of_json(path) == plain_form(data)
    if isinstance(data, dict):
        assert read_tables(path) == {name: value for name, value in data.items() if name != "annotations"}
    else:
        with pytest.raises(SegevalError, match="is a list, no COCO truth"):
            read_tables(path)


@pytest.mark.parametrize(
    ("content", "form"),
    [
        ('{"annotations": [], "annotations": [{"segments_info": []}]}', "coco-instances"),
        ('{"a": {"annotations": [{"segments_info": 1}]}, "annotations": [{"b": "segments_info"}]}', "coco-instances"),
        ('{"annotations": [{"b": {"segments_info": 1}}, {"segments_info": 1}]}', "coco-instances"),
        ('{"annotations": [{}]}', "coco-instances"),
        ('{"annotations": [3, {"segments_info": 1}]}', "coco-instances"),
        ('{"annotations": [{"segments\\u005finfo": 1}]}', "coco-panoptic"),
        ('{"annotations": {"segments_info": 1}}', ""),
    ],
)
def test_what_only_looks_like_segments(tmp_path: Path, content: str, form: str) -> None:
    (tmp_path / "a.json").write_text(content)
    assert form_of_json(tmp_path / "a.json") == form


def test_colours_of_a_palette_are_no_channels(tmp_path: Path) -> None:
    """Three classes of the common palette have no blue: they must not be read as class and instance unasked."""
    palette = np.array([[0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0]], np.uint8)
    for side in ("gt", "pred"):
        (tmp_path / side).mkdir()
        png(tmp_path / side / "a.png", palette[np.arange(12).reshape(3, 4) % 4])
    for task in (None, "panoptic"):
        with pytest.raises(SegevalError, match=r"holds colours of a palette, or class and instance.*--gt-format"):
            score(tmp_path / "pred", tmp_path / "gt", task=task)
    forced = {"gt_format": "panoptic-channels", "pred_format": "panoptic-channels"}
    assert score(tmp_path / "pred", tmp_path / "gt", task="panoptic", **forced)["PQ"] == 1.0


@pytest.mark.parametrize("colour", ["#dc143c", [220, 20, 60, 255], [0.86, 0.08, 0.24], [220.0, 20.0, 60.0], "red", {}])
def test_a_category_s_colour_moves_no_number(colour: object) -> None:
    entries = [{"id": 1, "name": "x", "color": colour}, {"id": 2, "name": "y", "color": [1, 2, 3]}]
    assert taxonomy_of_categories(entries, "a.json").names == ("x", "y")
