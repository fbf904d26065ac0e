from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from segeval_baselines.data.object_truth import export_images, export_truth, panoptic_map
from segeval_baselines.data.objects import ObjectSample
from segeval_baselines.data.splits import open_objects
from segeval_cli import main

from segeval.errors import SegevalError
from segeval.readers.maps.labels import read_labels
from tests.baselines import object_data
from tests.given.datasets import dataset


def scored(capsys: pytest.CaptureFixture[str], task: str, pred: object, gt: object, *more: str) -> dict[str, Any]:
    """What `segeval score` says."""
    words = ["score", "--task", task, "--pred", str(pred), "--gt", str(gt), "--format", "json", "--quiet", *more]
    assert main(words) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def as_results(path: Path) -> Path:
    """An instances JSON's annotations as a results JSON."""
    entries = [a for a in json.loads(path.read_text())["annotations"] if not a["iscrowd"]]
    out = path.with_name("results.json")
    out.write_text(json.dumps([{**e, "score": 1 - k / 1e4} for k, e in enumerate(entries)]))
    return out


@pytest.mark.parametrize("coarse", ["", ",supercategories"])
def test_panoptic_truth_is_the_data_sets(tmp_path: Path, coarse: str, capsys: pytest.CaptureFixture[str]) -> None:
    ids = object_data.write_panoptic(tmp_path / "data")
    truth = export_truth(open_objects(f"coco_panoptic:{tmp_path / 'data'}{coarse}", "val"), tmp_path / "truth")
    assert truth.panoptic is not None
    assert truth.instance_ids is None
    document = json.loads(truth.panoptic.read_text())
    segments = document["annotations"][0]["segments_info"]
    stuff = {c["id"] for c in document["categories"] if not c["isthing"]}
    assert document["annotations"][0]["image_id"] == 5
    assert [s["iscrowd"] for s in segments] == [0, 1, 0] + [0] * (1 if coarse else 2)
    assert sum(s["category_id"] in stuff for s in segments) == (1 if coarse else 2)
    assert sum(s["area"] for s in segments) == int((ids > 0).sum())
    again = scored(capsys, "panoptic", truth.panoptic, truth.panoptic)
    assert again["values"]["PQ"] == 1
    if not coarse:
        original = tmp_path / "data" / "annotations" / "panoptic_val.json"
        assert scored(capsys, "panoptic", truth.panoptic, original)["values"]["PQ"] == 1
    found = scored(capsys, "instance", as_results(truth.instances), truth.instances)
    assert found["values"]["AP"] == pytest.approx(1, abs=1e-12)


def test_coco_instances_come_back_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    masks = object_data.write_coco(tmp_path / "data")
    truth = export_truth(open_objects(f"coco:{tmp_path / 'data'}", "train"), tmp_path / "truth")
    assert truth.panoptic is None
    assert truth.instance_ids is None
    assert truth.most_objects == 3
    document = json.loads(truth.instances.read_text())
    assert [a["area"] for a in document["annotations"]] == [int(m.sum()) for m in masks]
    assert document["annotations"][0]["bbox"] == [2, 1, 4, 3]
    assert [i["id"] for i in document["images"]] == [41, 40]
    assert scored(capsys, "instance", as_results(truth.instances), truth.instances)["values"]["AP"] == pytest.approx(
        1, abs=1e-12
    )
    original = tmp_path / "data" / "annotations" / "instances_train2017.json"
    assert scored(capsys, "instance", as_results(truth.instances), original)["values"]["AP"] == pytest.approx(
        1, abs=1e-12
    )


def test_nuclei_become_maps_of_ids(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    object_data.write_nuclei(tmp_path / "data")
    samples = open_objects(f"nuclei:{tmp_path / 'data'}", "test")
    truth = export_truth(samples, tmp_path / "truth")
    assert truth.instance_ids is not None
    assert read_labels(truth.instance_ids / "n3.png").max() == 3
    assert truth.panoptic is None
    assert json.loads(truth.instances.read_text())["images"][0]["id"] == 3
    again = scored(capsys, "instance", truth.instance_ids, truth.instance_ids)
    assert again["values"]["AP"] == pytest.approx(1, abs=1e-12)
    original = tmp_path / "data" / "masks"
    assert scored(capsys, "instance", truth.instance_ids, original, "--missing", "skip")["values"][
        "AP"
    ] == pytest.approx(1, abs=1e-12)
    images = export_images(samples, tmp_path / "images")
    assert np.array_equal(np.array(Image.open(images / "n3.png")), object_data.picture(3))


def test_crowds_and_several_classes_leave_no_maps_of_ids(tmp_path: Path) -> None:
    object_data.write_instances(tmp_path / "data")
    classes = str(tmp_path / "data" / "classes.json")
    truth = export_truth(open_objects(f"instances:{tmp_path / 'data'}", "train", classes), tmp_path / "truth")
    document = json.loads(truth.instances.read_text())
    assert truth.instance_ids is None
    assert [a["iscrowd"] for a in document["annotations"]] == [1, 0, 0, 0]
    assert document["images"][0]["id"] == "a"
    assert [c["name"] for c in document["categories"]] == ["cell", "tissue"]


def test_things_that_share_pixels_are_no_panoptic_truth() -> None:
    masks = np.stack([object_data.box(0, 0, 4, 4), object_data.box(2, 2, 6, 6)])
    sample = ObjectSample(
        object_data.picture(), masks, np.array([1, 1]), np.zeros(2, bool), np.zeros(masks.shape[1:], np.uint8)
    )
    taxonomy = open_objects("scenes:1", "train").taxonomy
    with pytest.raises(SegevalError, match="image 7: has things that share pixels"):
        panoptic_map(sample, taxonomy, key=7)
    with pytest.raises(SegevalError, match="has no classes of pixels"):
        panoptic_map(sample._replace(semantic=None), taxonomy)


def test_scenes_score_as_their_own_writer_has_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from tests.given.scenes import write_scenes

    truth = export_truth(open_objects("scenes:4", "train"), tmp_path / "truth")
    write_scenes(tmp_path / "scenes", 4, seed=1000)
    for name in ("panoptic.json", "instances.json"):
        document = json.loads((tmp_path / "scenes" / "truth" / name).read_text())
        listed = {"images": document["images"]} if name == "instances.json" else {}
        assert len(json.loads((tmp_path / "truth" / name).read_text())["annotations"]) == len(document["annotations"])
        assert len(listed.get("images", [0] * 4)) == 4
    own = tmp_path / "scenes" / "truth" / "panoptic.json"
    assert truth.panoptic is not None
    assert scored(capsys, "panoptic", truth.panoptic, own)["values"]["PQ"] == 1


def test_real_panoptic_truth_scores_one_against_the_original(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = dataset("coco_panoptic")
    truth = export_truth(open_objects(f"coco_panoptic:{root}", "val"), tmp_path)
    assert truth.panoptic is not None
    original = root / "annotations" / "panoptic_val.json"
    assert scored(capsys, "panoptic", truth.panoptic, original)["values"]["PQ"] == 1


def test_the_command_writes_what_predict_and_score_take(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    object_data.write_nuclei(tmp_path / "data")
    words = ["export", f"nuclei:{tmp_path / 'data'}", "--split", "val", "--out", str(tmp_path / "out")]
    assert main(words) == 0
    assert f"ids: {tmp_path / 'out' / 'truth' / 'instance_ids'}" in capsys.readouterr().out
    assert [p.name for p in (tmp_path / "out" / "images").iterdir()] == ["n2.png"]
    assert main([*words[:3], "train", *words[4:]]) == 1
    assert "out: is not empty; give --out another folder" in capsys.readouterr().err
    assert [p.name for p in (tmp_path / "out" / "images").iterdir()] == ["n2.png"]
    assert main([*words[:3], "dev", "--out", str(tmp_path / "other")]) == 1
    assert "there is no split 'dev'" in capsys.readouterr().err
