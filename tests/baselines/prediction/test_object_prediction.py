"""What detectors write, and that `segeval score` says of it what validation says in memory."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import segeval_cli
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from segeval_baselines.checkpoints.checkpoint import Checkpoint
from segeval_baselines.checkpoints.published import COCO, COCO_UNUSED, published_checkpoint
from segeval_baselines.data.splits import open_objects
from segeval_baselines.detection.roi_heads import Detections
from segeval_baselines.networks.panoptic_fpn import MergingRule, merge
from segeval_baselines.ops import paste_masks
from segeval_baselines.prediction.folders import predict_folder
from segeval_baselines.prediction.instances import coded, write_map
from segeval_baselines.prediction.object_inference import Found, ObjectPredictor
from segeval_baselines.prediction.outputs import Outputs, read_image_ids
from segeval_baselines.recipes import Recipe
from segeval_baselines.training.loop import run_job
from segeval_baselines.training.validation import validate_instances, validate_panoptic
from segeval_baselines.zoo import build

import segeval
from segeval.errors import SegevalError
from segeval.readers.maps.labels import read_labels
from segeval.samples.taxonomy import Taxonomy
from tests.baselines import published
from tests.baselines.formula import filled_by_formula
from tests.baselines.toy_objects import SMALL, SMALL_PANOPTIC, TOYS, toy_objects_job, write_toys


@pytest.fixture(scope="module")
def toys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_toys(tmp_path_factory.mktemp("data") / "toys", train=12)


@pytest.fixture(scope="module")
def learned(toys: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Checkpoint]:
    """Detectors that find some of what is there."""
    torch.set_num_threads(1)
    recipe = Recipe(batch=4, rate=3e-3, clip=5.0, image_scale=1.25)
    bold = {"merging": {"score": 0.2, "stuff_area": 100.0}}
    jobs = {
        "mask_rcnn": toy_objects_job(toys, "mask_rcnn", 60, recipe=recipe, validations=0),
        "panoptic_fpn": toy_objects_job(toys, "panoptic_fpn", 60, recipe=recipe, validations=0, options=bold),
    }
    return {name: run_job(job, tmp_path_factory.mktemp("runs") / name) for name, job in jobs.items()}


def untrained(model: str, score: float = 0.2, taxonomy: Taxonomy = TOYS) -> Checkpoint:
    """A detector that finds a lot of what isn't there."""
    options: dict[str, Any] = {**SMALL, "regions": {**SMALL["regions"], "score": score}}
    if model == "panoptic_fpn":
        options = {**SMALL_PANOPTIC, **options, "merging": {"score": score, "stuff_area": 100.0, "overlap": 0.8}}
    torch.manual_seed(4)
    weights = build(model, taxonomy, "tiny", options).state_dict()
    for name in ("roi_heads.box_predictor.cls_score.weight", "semantic.predictor.weight"):
        if name in weights:
            weights[name] = 60 * weights[name]
    recipe = Recipe(image_scale=1.25)
    return Checkpoint(model, "tiny", options, taxonomy, (0.4,) * 3, (0.2,) * 3, recipe, weights)


def run(*words: object) -> int:
    return segeval_cli.main([str(w) for w in words])


def test_a_results_json_scores_as_validation_does_to_the_last_bit(
    toys: Path, tmp_path: Path, learned: dict[str, Checkpoint]
) -> None:
    checkpoint, out, truth = learned["mask_rcnn"], tmp_path / "out", toys / "annotations" / "instances_val.json"
    samples = open_objects(f"coco:{toys}", "val")
    ids = read_image_ids(truth)
    assert predict_folder(checkpoint, toys / "images" / "val", Outputs(out, image_ids=ids)) == 3
    valued = validate_instances(ObjectPredictor.of(checkpoint), samples)
    assert len(json.loads((out / "results.json").read_text())) > 5
    scored = segeval.score(out / "results.json", truth, task="instance")
    assert 0 < valued["AP"] < 1
    # As text, because undefined figures (NaN) are not equal to themselves; repr tells every bit.
    assert repr(dict(scored.values)) == repr(dict(valued.values))
    assert repr([dict(r) for r in scored.per_class]) == repr([dict(r) for r in valued.per_class])


def test_a_folder_of_detections_scores_like_the_json(
    toys: Path, tmp_path: Path, learned: dict[str, Checkpoint]
) -> None:
    checkpoint, out = learned["mask_rcnn"], tmp_path / "out"
    predict_folder(checkpoint, toys / "images" / "val", Outputs(out))
    truth = tmp_path / "truth"
    truth.mkdir()
    listed = Taxonomy((7, 20), ("box", "ball"))
    samples = open_objects(f"coco:{toys}", "val")
    for key in samples.keys():
        sample = samples.load(key)
        labels = np.array((7, 20))[sample.labels - 1]
        np.savez(truth / f"{key}.npz", masks=sample.masks[~sample.crowd], labels=labels[~sample.crowd])
    folder = segeval.score(out / "detections", truth, task="instance", classes=listed)
    document = json.loads((toys / "annotations" / "instances_val.json").read_text())
    document["annotations"] = [a for a in document["annotations"] if not a["iscrowd"]]
    names = {image["id"]: Path(image["file_name"]).stem for image in document["images"]}
    for image in document["images"]:
        image["id"] = names[image["id"]]
    for entry in document["annotations"]:
        entry["image_id"] = names[entry["image_id"]]
    (tmp_path / "truth.json").write_text(json.dumps(document))
    scored = segeval.score(out / "results.json", tmp_path / "truth.json", task="instance")
    assert repr(dict(folder.values)) == repr(dict(scored.values))
    boxes = segeval.score(out / "boxes.json", tmp_path / "truth.json", task="instance", iou="bbox")
    assert boxes["AP50"] > 0


def test_a_panoptic_json_scores_as_validation_does_to_the_last_bit(
    toys: Path, tmp_path: Path, learned: dict[str, Checkpoint]
) -> None:
    checkpoint, out = learned["panoptic_fpn"], tmp_path / "out"
    samples = open_objects(f"coco_panoptic:{toys}", "val")
    truth = toys / "annotations" / "panoptic_val.json"
    predict_folder(checkpoint, toys / "images" / "val", Outputs(out, image_ids=read_image_ids(truth)))
    scored = segeval.score(out / "panoptic.json", truth, task="panoptic")
    valued = validate_panoptic(ObjectPredictor.of(checkpoint), samples)
    assert 0 < valued["PQ"] < 1
    assert repr(dict(scored.values)) == repr(dict(valued.values))
    assert repr([dict(r) for r in scored.per_class]) == repr([dict(r) for r in valued.per_class])
    listed = json.loads((out / "panoptic.json").read_text())
    assert any(s["category_id"] in (7, 20) for a in listed["annotations"] for s in a["segments_info"])
    assert [c["isthing"] for c in listed["categories"]] == [0, 1, 0, 1]
    for entry in listed["annotations"]:
        colours = np.array(Image.open(out / "panoptic" / entry["file_name"])).astype(int)
        values, areas = np.unique(colours @ [1, 256, 65536], return_counts=True)
        drawn = {int(v): int(a) for v, a in zip(values, areas, strict=True) if v}
        assert drawn == {s["id"]: s["area"] for s in entry["segments_info"]}


@pytest.mark.parametrize(("model", "task"), [("mask_rcnn", "instance"), ("panoptic_fpn", "panoptic")])
def test_predictions_of_nothing_are_valid_and_score_zero(toys: Path, tmp_path: Path, model: str, task: str) -> None:
    checkpoint, out = untrained(model, score=1.0), tmp_path / "out"
    if task == "panoptic":
        checkpoint = replace(checkpoint, options={**checkpoint.options, "merging": {"stuff_area": 1e9}})
    truth = toys / "annotations" / f"{task if task == 'panoptic' else 'instances'}_val.json"
    outputs = Outputs(out, overlays=True, image_ids=read_image_ids(truth))
    predict_folder(checkpoint, toys / "images" / "val", outputs)
    name = {"instance": "results.json", "panoptic": "panoptic.json"}[task]
    result = segeval.score(out / name, truth, task=task)
    assert result[{"instance": "AP", "panoptic": "PQ"}[task]] == 0
    assert result.images == 3
    if task == "instance":
        assert json.loads((out / "results.json").read_text()) == []
        with np.load(out / "detections" / "val0.npz", allow_pickle=False) as stored:
            assert stored["rle"].shape == stored["labels"].shape == (0,)
    else:
        entries = json.loads((out / "panoptic.json").read_text())["annotations"]
        assert [e["segments_info"] for e in entries] == [[], [], []]
        assert not np.array(Image.open(out / "panoptic" / "val0.png")).any()
    picture = np.array(Image.open(out / "overlays" / "val0.png"))
    assert np.array_equal(picture, np.array(Image.open(toys / "images" / "val" / "val0.png")))


@pytest.mark.parametrize("model", ["mask_rcnn", "panoptic_fpn"])
def test_what_is_done_is_left_alone_and_nothing_else_is_mixed_in(toys: Path, tmp_path: Path, model: str) -> None:
    checkpoint, out, images = untrained(model), tmp_path / "out", toys / "images" / "train"
    assert predict_folder(checkpoint, images, Outputs(out)) == 12
    joined = out / ("results.json" if model == "mask_rcnn" else "panoptic.json")
    text = joined.read_bytes()
    done = out / ("detections/train1.npz" if model == "mask_rcnn" else "segments/train1.json")
    done.unlink()
    joined.unlink()
    assert predict_folder(checkpoint, images, Outputs(out)) == 1
    assert joined.read_bytes() == text
    assert predict_folder(checkpoint, images, Outputs(out, overlays=True)) == 12
    other = replace(checkpoint, recipe=Recipe(image_scale=2.0))
    with pytest.raises(SegevalError, match="holds other predictions"):
        predict_folder(other, images, Outputs(out))
    with pytest.raises(SegevalError, match="holds JSON files of unknown origin"):
        predict_folder(checkpoint, images, Outputs(toys / "annotations"))
    ids = read_image_ids(toys / "annotations" / "instances_val.json")
    with pytest.raises(SegevalError, match="don't list this image"):
        predict_folder(checkpoint, images, Outputs(tmp_path / "more", image_ids=ids))
    (tmp_path / "empty").mkdir()
    with pytest.raises(SegevalError, match="holds no image"):
        predict_folder(checkpoint, tmp_path / "empty", Outputs(out))


def found_of(labels: list[int], top: list[list[int]]) -> Found:
    count = len(labels)
    return Found(
        np.array(labels, np.int64),
        np.ones(count, np.float32),
        np.zeros((count, 4), np.float32),
        ("",) * count,
        np.array(top, np.int32),
    )


def test_instance_maps_carry_class_and_number(tmp_path: Path) -> None:
    found = found_of([7, 20, 7], [[0, 1], [2, 3]])
    assert coded(found, [7, 20]).tolist() == [[0, 7001], [20001, 7002]]  # type: ignore[union-attr]
    assert coded(found_of([5, 5], [[0, 1, 2]]), [5]).tolist() == [[0, 1, 2]]  # type: ignore[union-attr]
    assert coded(found_of([0, 4], [[1, 2]]), [0, 4]) is None
    assert coded(found_of([7] * 1000, [[1, 2]]), [7, 20]) is None
    assert coded(found_of([], [[0, 0]]), [7, 20]).tolist() == [[0, 0]]  # type: ignore[union-attr]
    small, large = np.array([[0, 65_535]]), np.array([[0, 90_001]])
    assert write_map(tmp_path / "a.b", small).name == "a.b.png"
    assert write_map(tmp_path / "c", large).name == "c.tif"
    assert read_labels(tmp_path / "a.b.png").tolist() == small.tolist()
    assert read_labels(tmp_path / "c.tif").tolist() == large.tolist()


def test_instance_maps_show_the_best_instance_of_each_pixel(toys: Path, tmp_path: Path) -> None:
    checkpoint, out = untrained("mask_rcnn"), tmp_path / "out"
    predict_folder(checkpoint, toys / "images" / "val", Outputs(out))
    values = read_labels(out / "instances" / "val0.png")
    with np.load(out / "detections" / "val0.npz", allow_pickle=False) as stored:
        labels, scores = stored["labels"], stored["scores"]
    assert (np.diff(scores) <= 0).all()
    best = labels[0] * 1000 + 1
    entries = json.loads((out / "results.json").read_text())
    first = next(e for e in entries if e["image_id"] == "val0")
    from segeval.samples.mask_runs import dense_masks
    from segeval.samples.masks import as_instances

    mask = dense_masks(as_instances({"rle": [first["segmentation"]]}, "prediction"))[0]
    assert np.array_equal(values == best, mask)


def detections_of(seed: int, count: int) -> Detections:
    generator = torch.Generator().manual_seed(seed)
    corners = torch.rand(count, 2, generator=generator) * 20
    sides = torch.rand(count, 2, generator=generator) * 15
    scores = torch.rand(count, generator=generator).sort(descending=True).values
    labels = torch.randint(1, 4, (count,), generator=generator)
    masks = torch.rand(count, 4, 4, generator=generator)
    return Detections(torch.cat((corners, corners + sides), 1), labels, scores, masks)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), count=st.integers(0, 40), overlap=st.floats(0, 1), least=st.floats(0, 1e5))
def test_merged_maps_never_overlap_and_cover_their_ids(seed: int, count: int, overlap: float, least: float) -> None:
    things, size = detections_of(seed, count), (28, 32)
    stuff = torch.randint(0, 4, size, generator=torch.Generator().manual_seed(seed))
    rule = MergingRule(score=0.3, overlap=overlap, stuff_area=least)
    ids, segments = merge(things, stuff, size, rule)
    assert sorted(set(ids.flatten().tolist()) - {0}) == list(range(1, len(segments) + 1))
    masks = paste_masks(things.masks, things.boxes, size)
    taken, kept, number = torch.zeros(size, dtype=torch.bool), [], 0
    for mask, score, label in zip(masks, things.scores.tolist(), things.labels.tolist(), strict=True):
        free = mask & ~taken
        if score < 0.3 or not free.any() or int((mask & taken).sum()) > overlap * int(mask.sum()):
            continue
        number += 1
        assert torch.equal(ids == number, free)
        taken |= mask
        kept.append((label, 0))
    assert segments[:number] == kept
    for place, (thing, label) in enumerate(segments[number:], number + 1):
        assert thing == 0
        assert label > 0  # the channel of things is no stuff
        assert torch.equal(ids == place, (stuff == label) & ~taken)
        assert int((ids == place).sum()) >= least * 28 * 32 / (640 * 480)


def test_files_of_torchvisions_detector_predict(tmp_path: Path) -> None:
    assert (COCO.names[0], COCO.names[89], len(COCO_UNUSED)) == ("person", "toothbrush", 10)
    state = filled_by_formula(dict(published.old_names(published.maskrcnn_resnet50_fpn())))
    torch.save(state, tmp_path / "mask.pth")
    checkpoint = published_checkpoint("mask_rcnn", tmp_path / "mask.pth")
    assert checkpoint.recipe.short_side == 800
    assert checkpoint.options == {"unused": list(COCO_UNUSED)}
    small = replace(checkpoint, recipe=Recipe(short_side=96, long_side=128))
    (tmp_path / "images").mkdir()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (48, 60, 3)).astype(np.uint8)).save(
        tmp_path / "images" / "a.png"
    )
    assert predict_folder(small, tmp_path / "images", Outputs(tmp_path / "out")) == 1
    found = json.loads((tmp_path / "out" / "results.json").read_text())
    assert found
    assert not {e["category_id"] for e in found} & set(COCO_UNUSED)
    with pytest.raises(SegevalError, match="isn't a mask_rcnn of 3 classes"):
        published_checkpoint("mask_rcnn", tmp_path / "mask.pth", taxonomy=Taxonomy.of(3))
    with pytest.raises(SegevalError, match=r"classes of panoptic_fpn's weights are unknown"):
        published_checkpoint("panoptic_fpn", tmp_path / "mask.pth")


@pytest.mark.parametrize(("model", "task"), [("mask_rcnn", "instance"), ("panoptic_fpn", "panoptic")])
def test_the_commands_from_training_to_score(
    toys: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], model: str, task: str
) -> None:
    data = f"coco_panoptic:{toys}" if task == "panoptic" else f"coco:{toys}"
    out, options = tmp_path / "run", SMALL_PANOPTIC if task == "panoptic" else SMALL
    words = [w for name, value in options.items() for w in ("--option", f"{name}={value!r}")]
    training = ["train", model, "--data", data, "--out", out, "--iterations", 2, "--batch", 2, "--crop", 64, 80]
    assert run(*training, "--device", "cpu", *words) == 0
    printed = capsys.readouterr()
    headline = {"instance": "AP", "panoptic": "PQ"}[task]
    assert f"validation {headline}" in printed.out
    assert f"validation {headline}" in printed.err
    kind = "panoptic" if task == "panoptic" else "instances"
    truth = toys / "annotations" / f"{kind}_val.json"
    predict = ["predict", out, "--images", toys / "images" / "val", "--out", tmp_path / "pred", "--overlays"]
    assert run(*predict, "--image-ids", truth, "--device", "cpu") == 0
    capsys.readouterr()
    name = {"instance": "results.json", "panoptic": "panoptic.json"}[task]
    assert run("score", "--task", task, "--pred", tmp_path / "pred" / name, "--gt", truth, "--format", "json") == 0
    assert json.loads(capsys.readouterr().out)["images"] == 3
    assert {p.name for p in (tmp_path / "pred" / "overlays").iterdir()} == {"val0.png", "val1.png", "val2.png"}
    with pytest.raises(SystemExit) as caught:
        run(*predict, "--flip")
    assert caught.value.code == 2
    assert run("predict", out, "--images", tmp_path, "--out", tmp_path / "x", "--image-ids", out / "job.json") == 1
    assert "lists no images" in capsys.readouterr().err


def test_references_find_nothing_or_the_usual_stuff(
    toys: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images, truth = toys / "images" / "val", toys / "annotations"
    for name, task, kind in (
        ("no-instances", "instance", "coco"),
        ("no-segments", "panoptic", "coco_panoptic"),
        ("stuff-mode", "panoptic", "coco_panoptic"),
    ):
        data = ["--data", f"{kind}:{toys}", "--images", images, "--out", tmp_path / name]
        ids = truth / f"{'instances' if task == 'instance' else 'panoptic'}_val.json"
        assert run("predict", "--reference", name, *data, "--image-ids", ids) == 0
        joined = tmp_path / name / ("results.json" if task == "instance" else "panoptic.json")
        result = segeval.score(joined, ids, task=task)
        if name == "stuff-mode":
            # Grass below, sky above: only things are wrong.
            assert result["PQ_st"] > 0.8
            assert result["PQ_th"] == 0
            train_maps = [open_objects(f"coco_panoptic:{toys}", "train").load(f"train{k}").semantic for k in range(12)]
            counts = [sum((m[0, 0] == p) for m in train_maps) for p in (0, 2)]
            assert counts[1] > counts[0]
            entry = json.loads(joined.read_text())["annotations"][0]
            colours = np.array(Image.open(joined.parent / "panoptic" / entry["file_name"])).astype(int)
            first = int(colours[0, 0] @ [1, 256, 65536])
            assert {s["id"]: s["category_id"] for s in entry["segments_info"]}[first] == 12
        else:
            assert result[{"instance": "AP", "panoptic": "PQ"}[task]] == 0
    capsys.readouterr()
    wrong = ["--data", f"coco:{toys}", "--images", images, "--out", tmp_path / "wrong"]
    assert run("predict", "--reference", "stuff-mode", *wrong) == 1
    assert not (tmp_path / "wrong").exists()
    assert "has no stuff" in capsys.readouterr().err


def test_the_lists(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("models", "mask_rcnn", "panoptic_fpn", "--num-classes", 90, "--format", "json") == 0
    models = json.loads(capsys.readouterr().out)["models"]
    assert [m["task"] for m in models] == ["instance", "panoptic"]
    assert models[0]["presets"]["full"]["parameters"] == 44_401_393
    assert models[0]["presets"]["full"]["gflops"] > 100
    assert run("bench", "mask_rcnn", "--preset", "demo", "--size", 64, 64, "--passes", 1, "--batch", 1) == 0
    assert "mask_rcnn" in capsys.readouterr().out
