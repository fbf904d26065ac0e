from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from segeval_baselines.data.object_labels import ObjectLabels
from segeval_baselines.data.object_truth import export_images, export_truth
from segeval_baselines.data.splits import open_objects
from segeval_baselines.prediction.inference import WHOLE, Predictor, View
from segeval_baselines.prediction.separation import SeparatingPredictor
from segeval_cli import main

from segeval.samples.mask_runs import dense_masks
from segeval.samples.masks import as_instances
from tests.baselines import object_data


class Oracle:
    """A network that knows the labels, and is a little less sure of each object in turn."""

    def __init__(self, labels: np.ndarray[Any, Any], ids: np.ndarray[Any, Any]) -> None:
        sure = 6.0 - 0.5 * torch.from_numpy(ids.astype(np.float32))
        self.logits = torch.nn.functional.one_hot(torch.from_numpy(labels).long(), 3).permute(2, 0, 1) * sure

    def scores(self, image: object, view: View = WHOLE) -> torch.Tensor:
        """Its logits, whatever the image."""
        return self.logits


def test_a_network_that_knows_the_labels_finds_the_objects(tmp_path: Path) -> None:
    ids = object_data.write_nuclei(tmp_path).astype(np.int64)
    ids[ids == 300] = 3
    labels = ObjectLabels(open_objects(f"nuclei:{tmp_path}", "val"))
    oracle = cast(Predictor, Oracle(labels.load("n2").labels, ids))
    predictor = SeparatingPredictor(oracle, labels.taxonomy)
    found = predictor.instances(object_data.picture(2))
    assert len(found.labels) == 3
    assert (np.diff(found.scores) < 0).all()
    assert found.labels.tolist() == [1, 1, 1]
    assert np.array_equal(found.top > 0, ids > 0)
    # The two that touch share their border; what is theirs alone is right.
    inner = labels.load("n2").labels == 1
    assert np.array_equal(found.top[inner], ids[inner])
    masks = dense_masks(as_instances(found.as_prediction(), "prediction"))
    assert np.array_equal(masks, found.top == np.arange(1, 4)[:, None, None])
    assert found.boxes[2].tolist() == [2, 6, 9, 9]
    assert len(SeparatingPredictor(oracle, labels.taxonomy, "components").instances(object_data.picture()).labels) == 2


def scored(capsys: pytest.CaptureFixture[str], pred: Path, gt: Path, *more: str) -> float:
    """AP as `segeval score` says it."""
    words = ["score", "--task", "instance", "--pred", str(pred), "--gt", str(gt), "--format", "json", "--quiet", *more]
    assert main(words) == 0
    found = json.loads(capsys.readouterr().out)["values"]["AP"]
    return float(found)


def test_the_command_separates_and_score_reads_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    object_data.write_nuclei(tmp_path / "data")
    samples = open_objects(f"nuclei:{tmp_path / 'data'}", "test")
    images, truth = export_images(samples, tmp_path / "images"), export_truth(samples, tmp_path / "truth")
    assert truth.instance_ids is not None
    run, out = str(tmp_path / "run"), tmp_path / "out"
    words = ["train", "unet", "--preset", "nuclei", "--data", f"nuclei:{tmp_path / 'data'}", "--out", run, "--quiet"]
    network = ["--option", "width=4", "--option", "depth=2", "--crop", "12", "12", "--device", "cpu"]
    assert main([*words, *network, "--iterations", "30", "--batch", "2", "--validations", "1"]) == 0
    predict = ["predict", run, "--images", str(images), "--device", "cpu", "--quiet"]
    ids = ["--image-ids", str(truth.instances)]
    assert main([*predict, "--out", str(out), "--instances", "watershed", *ids, "--overlays"]) == 0
    capsys.readouterr()
    listed = json.loads((out / "results.json").read_text())
    assert {entry["image_id"] for entry in listed} <= {3}
    by_json = scored(capsys, out / "results.json", truth.instances)
    classes = ["--classes", str(truth.classes)]
    assert scored(capsys, out / "detections", truth.instance_ids, *classes) == by_json
    assert (out / "overlays" / "n3.png").is_file()
    assert (out / "instances" / "n3.png").is_file()
    # Another method is another prediction; label maps still come without it.
    assert main([*predict, "--out", str(out), "--instances", "components", *ids]) == 1
    assert "holds other predictions" in capsys.readouterr().err
    assert main([*predict, "--out", str(tmp_path / "labels")]) == 0
    assert (tmp_path / "labels" / "n3.png").is_file()


def test_networks_that_know_no_border_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    object_data.save(tmp_path / "images" / "a.png", object_data.picture())
    words = ["predict", "--model", "unet-demo", "--images", str(tmp_path / "images"), "--out", str(tmp_path / "out")]
    assert main([*words, "--instances", "watershed", "--quiet"]) == 1
    error = capsys.readouterr().err
    assert "the network unet was not trained to separate objects; train unet --preset nuclei" in error
    assert error.count("\n") == 1
    with pytest.raises(SystemExit) as caught:
        main([*words, "--instances", "watershed", "--probabilities"])
    assert caught.value.code == 2
