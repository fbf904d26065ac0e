"""Conversions of real data: what was derived from a panoptic truth elsewhere comes out of it here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segeval import score
from segeval.conversion import (
    convert,
    instances_to_panoptic,
    instances_to_semantic,
    panoptic_to_instances,
    panoptic_to_semantic,
)
from tests.given.datasets import dataset

CODED = ("panoptic-coded", "panoptic-channels")


def pixels(path: Path) -> Any:
    return np.array(Image.open(path))


def partition(ids: Any, segments: Any) -> Any:
    """What a panoptic map says, whatever its ids: the class, the crowd flag and the pixels of each segment."""
    return sorted((s["category_id"], s["iscrowd"], np.flatnonzero(ids == s["id"]).tobytes()) for s in segments)


def of_json(path: Path) -> dict[int, Any]:
    """What a COCO panoptic JSON with its folder beside it says, by image."""
    found = {}
    for entry in json.loads(path.read_text())["annotations"]:
        colours = pixels(path.with_suffix("") / entry["file_name"]).astype(np.int64)
        ids = colours @ [1, 256, 65536]
        assert set(np.unique(ids).tolist()) - {0} == {s["id"] for s in entry["segments_info"]}
        found[entry["image_id"]] = partition(ids, entry["segments_info"])
    return found


# ---- 100 images of COCO --------------------------------------------------------------------------------------


def test_semantic_maps_of_coco(tmp_path: Path) -> None:
    data = dataset("coco_panoptic")
    done = panoptic_to_semantic(data / "annotations" / "panoptic_val.json", tmp_path / "semantic", void=0)
    assert (done.images, done.cautions) == (100, ())
    names = sorted(p.name for p in (data / "semantic" / "val").glob("*.png"))
    assert sorted(p.name for p in done.path.iterdir()) == names
    for name in names:
        assert np.array_equal(pixels(done.path / name), pixels(data / "semantic" / "val" / name)), name
    classes = data / "annotations" / "panoptic_val.json"
    result = score(done.path, data / "semantic" / "val", task="semantic", classes=classes, void=(0,))
    assert result["mIoU"] == result["aAcc"] == 1


def test_instances_of_coco(tmp_path: Path) -> None:
    data = dataset("coco_panoptic")
    wanted = json.loads((data / "annotations" / "instances_val.json").read_text())
    done = panoptic_to_instances(data / "annotations" / "panoptic_val.json", tmp_path)
    found = json.loads(done.path.read_text())
    assert found["categories"] == wanted["categories"]
    assert {i["id"]: i for i in found["images"]} == {i["id"]: i for i in wanted["images"]}
    theirs = {(a["image_id"], a["panoptic_id"]): a for a in wanted["annotations"]}
    mine = {(a["image_id"], a["instance_id"]): a for a in found["annotations"]}
    assert mine.keys() == theirs.keys()
    for place, annotation in mine.items():
        for name in ("segmentation", "area", "bbox", "category_id", "iscrowd"):
            assert annotation[name] == theirs[place][name], (place, name)


def test_panoptic_of_coco_from_its_two_parts(tmp_path: Path) -> None:
    """Instances over label maps give the panoptic truth back, ids of things included."""
    data = dataset("coco_panoptic")
    truth = data / "annotations" / "panoptic_val.json"
    panoptic_to_instances(truth, tmp_path / "instances.json")
    done = instances_to_panoptic(
        tmp_path / "instances.json",
        tmp_path / "panoptic.json",
        semantic=data / "semantic" / "val",
        from_void=(0,),
        classes=data / "categories.json",
        overlap="error",
        min_score=0,
        stuff_area=0,
    )
    result = score(done.path, truth, task="panoptic")
    assert result["PQ"] == result["SQ"] == result["RQ"] == 1
    things = {c["id"] for c in json.loads(truth.read_text())["categories"] if c["isthing"]}

    def ids(path: Path) -> Any:
        listed = json.loads(path.read_text())["annotations"]
        return {a["image_id"]: {s["id"] for s in a["segments_info"] if s["category_id"] in things} for a in listed}

    assert ids(done.path) == ids(truth)


def test_scores_of_results_made_of_panoptic_truth(tmp_path: Path) -> None:
    """As predictions, the instances of the truth are found all, and the crowds are no detections."""
    data = dataset("coco_panoptic")
    done = panoptic_to_instances(data / "annotations" / "panoptic_val.json", tmp_path / "results.json", results=True)
    assert [c.code for c in done.cautions] == ["crowds-left-out"]
    result = score(done.path, data / "annotations" / "instances_val.json", task="instance")
    assert result["AP"] == result["AR100"] == 1
    things = instances_to_semantic(done.path, tmp_path / "maps", gt=data / "annotations" / "instances_val.json")
    whole = data / "semantic" / "val"
    kept = {c["id"] for c in json.loads((data / "categories.json").read_text())["categories"] if c["isthing"]}
    crowds = json.loads((data / "annotations" / "instances_val.json").read_text())["annotations"]
    with_crowd = {a["image_id"] for a in crowds if a["iscrowd"]}
    for path in things.path.iterdir():
        wanted = pixels(whole / path.name)
        if int(path.stem) not in with_crowd:
            assert np.array_equal(pixels(path), np.where(np.isin(wanted, list(kept)), wanted, 255)), path.name


@pytest.mark.parametrize("form", CODED)
def test_coco_through_forms_without_a_json(tmp_path: Path, form: str) -> None:
    data = dataset("coco_panoptic")
    truth = data / "annotations" / "panoptic_val.json"
    there = convert(truth, tmp_path / "there", to=form)
    assert there.cautions == ()
    back = convert(there.path, tmp_path / "back.json", to="panoptic", gt=truth, source_form=form)
    result = score(back.path, truth, task="panoptic")
    assert result["PQ"] == 1
    assert json.loads(back.path.read_text())["images"][0].keys() == json.loads(truth.read_text())["images"][0].keys()
    again = convert(back.path, tmp_path / "again", to=form)
    for path in sorted(there.path.iterdir()):
        assert path.read_bytes() == (again.path / path.name).read_bytes()


# ---- three encodings of one truth ----------------------------------------------------------------------------


@pytest.fixture
def sample() -> Path:
    return dataset("fixtures/panopticapi_sample")


def forms_of(sample: Path) -> dict[str, tuple[Path, dict[str, Any]]]:
    """The three encodings, and what each does not say itself."""
    classes = sample / "panoptic_coco_categories.json"
    return {
        "coco-panoptic": (sample / "panoptic_examples.json", {}),
        "coco-instances": (sample / "panoptic_coco_detection_format.json", {"classes": classes}),
        "panoptic-channels": (sample / "panoptic_examples_2ch_format", {"classes": classes}),
    }


@pytest.mark.parametrize("source", ["coco-panoptic", "coco-instances", "panoptic-channels"])
def test_each_encoding_of_the_sample_gives_the_others(tmp_path: Path, sample: Path, source: str) -> None:
    forms = forms_of(sample)
    src, said = forms[source]
    wanted = of_json(sample / "panoptic_examples.json")
    for target in (*forms, "panoptic-coded"):
        stuff = {"stuff": True} if target == "coco-instances" and source != target else {}
        there = convert(src, tmp_path / target, to=target, **said, **stuff)
        assert (there.source, there.target, there.images) == (source, target, 2)
        more = {"classes": sample / "panoptic_coco_categories.json"} if target != "coco-panoptic" else {}
        back = convert(there.path, tmp_path / "back" / target, to="panoptic", source_form=target, **more)
        assert of_json(back.path) == wanted, target


def test_channels_of_the_sample_are_kept_to_the_number(tmp_path: Path, sample: Path) -> None:
    src, said = forms_of(sample)["panoptic-channels"]
    convert(src, tmp_path / "panoptic.json", to="panoptic", **said)
    for way in (tmp_path / "panoptic.json", src):
        back = convert(way, tmp_path / f"back-{way.name}", to="panoptic-channels", **(said if way == src else {}))
        for path in src.iterdir():
            assert np.array_equal(pixels(path), pixels(back.path / path.name))


def test_the_samples_detection_format(tmp_path: Path, sample: Path) -> None:
    done = panoptic_to_instances(sample / "panoptic_examples.json", tmp_path / "x.json", stuff=True)
    wanted = json.loads((sample / "panoptic_coco_detection_format.json").read_text())
    found = json.loads(done.path.read_text())
    fields = ("segmentation", "area", "iscrowd", "image_id", "bbox", "category_id")
    assert [{k: a[k] for k in fields} for a in found["annotations"]] == [
        {k: a[k] for k in fields} for a in wanted["annotations"]
    ]


# ---- nuclei --------------------------------------------------------------------------------------------------


def test_nuclei_in_both_forms(tmp_path: Path) -> None:
    data = dataset("dsb2018")
    truth = data / "annotations" / "instances_val.json"
    done = convert(truth, tmp_path / "ids", to="instance-ids")
    for path in done.path.iterdir():
        assert np.array_equal(pixels(path), pixels(data / "masks" / path.name)), path.name
    back = convert(done.path, tmp_path / "back.json", to="instance", source_form="instance-ids", gt=truth)
    fields = ("image_id", "category_id", "iscrowd", "area", "bbox", "segmentation")
    mine, theirs = (json.loads(p.read_text()) for p in (back.path, truth))
    assert mine["categories"] == theirs["categories"]

    def listed(document: Any) -> list[Any]:
        return sorted(([a[k] for k in fields] for a in document["annotations"]), key=str)

    assert listed(mine) == listed(theirs)
