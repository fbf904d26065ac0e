from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import segeval_cli
import torch
from PIL import Image
from segeval_baselines.checkpoints.bundle import bundle
from segeval_baselines.checkpoints.checkpoint import Checkpoint, bundled, load_checkpoint
from segeval_baselines.cost import bench, cost
from segeval_baselines.data.scenes import ObjectScenes, Scenes
from segeval_baselines.data.splits import open_split
from segeval_baselines.prediction.folders import predict_folder
from segeval_baselines.prediction.inference import Predictor, View
from segeval_baselines.prediction.labels import write_labels
from segeval_baselines.prediction.object_inference import ObjectPredictor
from segeval_baselines.prediction.outputs import Outputs
from segeval_baselines.prediction.references import LABEL_REFERENCES as REFERENCES
from segeval_baselines.prediction.references import count
from segeval_baselines.recipes import Recipe
from segeval_baselines.training.validation import validate, validate_instances, validate_panoptic
from segeval_baselines.zoo import build

import segeval
from segeval.errors import SegevalError
from segeval.samples.taxonomy import Taxonomy
from tests.baselines.toy import COLOURS, NAMES, SMALL, VOID_ID, write_toy

TOY = Taxonomy((0, 1, 2), NAMES, None, COLOURS)


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return write_toy(tmp_path / "toy")


def untrained(taxonomy: Taxonomy = TOY) -> Checkpoint:
    options = {**SMALL, "shrink": 1}
    weights = build("unet", len(taxonomy), "tiny", options).state_dict()
    # Strong weights in the last layer, so that no class wins everywhere.
    weights["head.weight"] = 20 * torch.randn_like(weights["head.weight"])
    weights["head.weight"] -= weights["head.weight"].mean(dim=1, keepdim=True)
    recipe = Recipe(image_scale=0.5)
    return Checkpoint("unet", "tiny", options, taxonomy, (0.4,) * 3, (0.2,) * 3, recipe, weights)


@pytest.mark.parametrize("view", [View(), View(flip=True, scales=(0.75, 1.0)), View(window=20)])
def test_a_folder_scores_as_validation_in_memory_does_to_the_last_bit(toy: Path, tmp_path: Path, view: View) -> None:
    checkpoint, images = untrained(), tmp_path / "images"
    samples = open_split(f"folder:{toy}", "val")
    images.mkdir()
    truth = tmp_path / "truth"
    truth.mkdir()
    for key in samples.keys():
        (images / f"{key}.png").write_bytes((toy / "images" / f"{key}.png").read_bytes())
        (truth / f"{key}.png").write_bytes((toy / "labels" / f"{key}.png").read_bytes())
    predict_folder(checkpoint, images, Outputs(tmp_path / "out"), view=view)
    scored = segeval.score(tmp_path / "out", truth, task="semantic", classes=str(toy / "classes.json"))
    valued = validate(Predictor.of(checkpoint), samples, view=view)
    assert len(np.unique(np.array(Image.open(tmp_path / "out" / "val0.png")))) > 1
    # As text, because undefined figures (NaN) are not equal to themselves; repr tells every bit.
    assert repr(dict(scored.values)) == repr(dict(valued.values))
    assert repr([dict(r) for r in scored.per_class]) == repr([dict(r) for r in valued.per_class])


def test_label_files_have_ids_palette_and_size(toy: Path, tmp_path: Path) -> None:
    taxonomy = Taxonomy((7, 0, 200), ("a", "b", "c"), None, ((1, 2, 3), (4, 5, 6), (7, 8, 9)))
    path = write_labels(tmp_path / "x.png", np.array([[0, 1, 2]], np.uint8), taxonomy)
    with Image.open(path) as image:
        assert image.mode == "P"
        assert np.array(image).tolist() == [[7, 0, 200]]
        assert np.array(image.convert("RGB")).tolist() == [[[1, 2, 3], [4, 5, 6], [7, 8, 9]]]
    wide = Taxonomy((1, 26001), ("a", "b"))
    path = write_labels(tmp_path / "y.png", np.array([[0, 1]], np.uint8), wide)
    with Image.open(path) as image:
        assert np.array(image).tolist() == [[1, 26001]]


def test_probabilities_and_overlays(toy: Path, tmp_path: Path) -> None:
    predict_folder(untrained(), toy / "images", Outputs(tmp_path / "out", probabilities=True, overlays=True))
    with np.load(tmp_path / "out" / "probabilities" / "val0.npz") as archive:
        shares, ids = archive["probabilities"], archive["ids"]
    labels = np.array(Image.open(tmp_path / "out" / "val0.png"))
    assert shares.shape == (3, 48, 64)
    assert ids.tolist() == [0, 1, 2]
    np.testing.assert_allclose(shares.astype(np.float64).sum(axis=0), 1, atol=2e-3)
    agree = ids[shares.argmax(axis=0)] == labels
    assert agree.mean() > 0.95  # half precision makes a few ties
    assert Image.open(tmp_path / "out" / "overlays" / "val0.png").size == (64, 48)


def test_what_is_done_is_left_alone_and_nothing_else_is_mixed_in(toy: Path, tmp_path: Path) -> None:
    checkpoint, out = untrained(), tmp_path / "out"
    assert predict_folder(checkpoint, toy / "images", Outputs(out)) == 14
    (out / "val1.png").unlink()
    assert predict_folder(checkpoint, toy / "images", Outputs(out)) == 1
    with pytest.raises(SegevalError, match="holds other predictions"):
        predict_folder(untrained(), toy / "images", Outputs(out))
    with pytest.raises(SegevalError, match="holds other predictions"):
        predict_folder(checkpoint, toy / "images", Outputs(out), view=View(flip=True))
    with pytest.raises(SegevalError, match="unknown origin"):
        predict_folder(checkpoint, toy / "images", Outputs(toy / "labels"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(SegevalError, match="holds no image"):
        predict_folder(checkpoint, tmp_path / "empty", Outputs(out))


def test_the_classes_that_are_given_reach_a_reference(toy: Path, tmp_path: Path) -> None:
    (tmp_path / "two.json").write_text('{"classes": [{"id": 0, "name": "a"}, {"id": 2, "name": "b"}], "void": [1, 9]}')
    words = ["predict", "--reference", "colour", "--data", f"folder:{toy}", "--images", toy / "images"]
    assert run(*words, "--classes", tmp_path / "two.json", "--out", tmp_path / "out") == 0
    assert np.unique(np.array(Image.open(tmp_path / "out" / "val0.png"))).tolist() == [0, 2]


def test_references_count_what_they_say(toy: Path) -> None:
    samples = open_split(f"folder:{toy}", "train")
    loaded = [samples.load(k) for k in samples.keys()]
    image = loaded[0].image
    assert set(REFERENCES) == {"constant", "mode", "colour", "colour-position"}
    assert np.unique(count("constant", samples).labels(image)).tolist() == [0]
    stack = np.stack([s.labels for s in loaded])
    counts = np.stack([(stack == c).sum(axis=0) for c in range(3)])
    expected = np.where(counts.sum(axis=0) > 0, counts.argmax(axis=0), 0)  # the rim is void everywhere
    assert np.array_equal(count("mode", samples).labels(image), expected)
    # The toy's classes are told apart by colour alone.
    labelled = loaded[0].labels != 255
    found = count("colour", samples).labels(image)
    assert (found == loaded[0].labels)[labelled].mean() > 0.97
    assert count("colour-position", samples).labels(image[:31, :50]).shape == (31, 50)
    with pytest.raises(SegevalError, match="no reference"):
        count("knn", samples)


def test_costs_of_a_network_by_hand() -> None:
    found = cost("segnet", "basic", classes=11, size=(32, 32))
    assert found.parameters == 1_416_075
    k = 49 * 64
    encoder = 3 * k * 32**2 + 64 * k * (16**2 + 8**2 + 4**2)
    decoder = 64 * k * (4**2 + 8**2 + 16**2 + 32**2)
    assert found.flops == 2 * (encoder + decoder + 64 * 11 * 32**2)


def test_a_network_can_be_timed() -> None:
    timing = bench(build("unet", 3, "tiny", {**SMALL}), (24, 32), torch.device("cpu"), batch=2, passes=2)
    assert 0 < timing.latency <= timing.slowest
    assert timing.throughput > 0
    assert timing.memory > 2 * 3 * 24 * 32 * 4 / 2**20


DETECTORS = {"mask_rcnn-demo": (validate_instances, "AP50"), "panoptic_fpn-demo": (validate_panoptic, "PQ")}


def test_eight_networks_come_with_the_package() -> None:
    names = ("deeplabv3", "deeplabv3plus", "fcn", "mask_rcnn", "panoptic_fpn", "pspnet", "segnet", "unet")
    assert list(bundled()) == [f"{name}-demo" for name in names]


@pytest.mark.parametrize("name", sorted(bundled()))
def test_bundled_networks_know_the_scenes(name: str) -> None:
    assert bundled()[name].stat().st_size <= 2 * 2**20
    checkpoint = load_checkpoint(name)
    samples = Scenes("test", 6)
    assert checkpoint.taxonomy == samples.taxonomy
    if name in DETECTORS:
        validated, figure = DETECTORS[name]
        result = validated(ObjectPredictor.of(checkpoint), ObjectScenes("test", 6))
        assert result[figure] > 0.2  # nothing found is 0; the usual stuff alone has a PQ of 0.14
    else:
        # The most frequent class everywhere has an mIoU below 0.05.
        assert validate(Predictor.of(checkpoint), samples)["mIoU"] > 0.3


def test_a_run_becomes_a_bundled_network(tmp_path: Path) -> None:
    checkpoint = replace(untrained(), training={"step": 3})
    checkpoint.save(tmp_path / "best.pt")
    found = load_checkpoint(bundle(tmp_path, "toy", tmp_path / "bundled"))
    assert found.training == {}
    assert found.taxonomy == TOY
    for name, tensor in found.weights.items():
        expected = checkpoint.weights[name]
        assert torch.equal(tensor, expected.half() if expected.is_floating_point() else expected)
    assert Predictor.of(found).network.head.weight.dtype == torch.float32  # type: ignore[union-attr]


def run(*words: object) -> int:
    return segeval_cli.main([str(w) for w in words])


def test_the_commands_from_training_to_score(toy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    options = ["--option", "width=4", "--option", "depth=2", "--batch", "2", "--image-scale", "1"]
    assert (
        run("train", "unet", "--data", f"folder:{toy}", "--out", out, "--iterations", 2, "--device", "cpu", *options)
        == 0
    )
    printed = capsys.readouterr()
    assert "unet tiny: 2 steps" in printed.out
    assert "validation mIoU" in printed.err
    assert run("train", "--out", out, "--resume", "--quiet") == 0
    images = tmp_path / "images"
    images.mkdir()
    for path in (toy / "images").glob("test*.png"):
        (images / path.name).write_bytes(path.read_bytes())
    assert run("predict", out, "--images", images, "--out", tmp_path / "pred", "--overlays") == 0
    assert "4 images predicted" in capsys.readouterr().out
    reference = ["predict", "--reference", "mode", "--data", f"folder:{toy}", "--images", images]
    assert run(*reference, "--out", tmp_path / "mode") == 0
    capsys.readouterr()
    for folder in ("pred", "mode"):
        score = [
            "score",
            "--task",
            "semantic",
            "--pred",
            tmp_path / folder,
            "--gt",
            toy / "labels",
            "--missing",
            "skip",
        ]
        assert run(*score, "--classes", toy / "classes.json", "--format", "json", "--quiet") == 0
        found = json.loads(capsys.readouterr().out)
        assert found["images"] == 4
        assert f"void:{VOID_ID}" in found["signature"]


def test_the_lists(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("models", "unet", "--num-classes", 2, "--format", "json") == 0
    entry = json.loads(capsys.readouterr().out)["models"][0]
    assert entry["paper"] == "Ronneberger, Fischer, Brox, MICCAI 2015"
    assert entry["presets"]["full-padded"]["parameters"] == 31_037_698
    assert entry["published"][0]["protocol"]
    assert run("bench", "unet", "--preset", "demo", "--size", 32, 32, "--passes", 1, "--batch", 1) == 0
    assert "unet" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["train", "unett", "--data", "scenes", "--out", "x"], 1, "did you mean unet"),
        (["train", "unet", "--data", "nowhere", "--out", "x", "--iterations", "1"], 1, "names no data"),
        (["train", "unet", "--data", "camvid:/nowhere", "--out", "x", "--epochs", "1"], 1, "no such list"),
        (["train", "--out", "x", "--resume"], 1, "train first, without --resume"),
        (["train", "unet", "--data", "scenes", "--out", "x", "--option", "width"], 1, "sets nothing"),
        (["predict", "absent.pt", "--images", "x", "--out", "y"], 1, "no such checkpoint"),
        (["predict", "--model", "unet-demo", "--images", "absent", "--out", "y"], 1, "no such folder"),
        (["predict", "--model", "vgg-demo", "--images", "x", "--out", "y"], 1, "comes with the package"),
        (["predict", "--reference", "knn", "--data", "scenes", "--images", "x", "--out", "y"], 1, "no reference 'knn'"),
        (["train", "unet", "--data", "scenes", "--classes", "5", "--out", "x"], 1, "can't be replaced"),
        (["models", "segnett"], 1, "did you mean segnet"),
        (["bench", "unet", "--preset", "small"], 1, "has no preset"),
        (["bench", "unet", "--device", "tpu9"], 1, "no device"),
        (["bench", "unet", "--size", "0", "4"], 1, "has no pixel"),
        (["bench", "unet", "--batch", "0"], 1, "nothing to measure"),
        (["train", "unet", "--data", "scenes", "--out", "x", "--minutes", "1", "--seed", "-1"], 1, "seed -1"),
    ],
)
def test_wrong_words_end_in_one_line(
    words: list[str],
    code: int,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(*words) == code
    printed = capsys.readouterr().err.strip()
    assert message in printed
    assert "\n" not in printed


@pytest.mark.parametrize(
    "words",
    [
        ["predict", "--images", "x", "--out", "y"],
        ["predict", "--reference", "mode", "--images", "x", "--out", "y"],
        ["predict", "--reference", "mode", "--data", "scenes", "--image-ids", "z", "--images", "x", "--out", "y"],
        ["predict", "--model", "mask_rcnn-demo", "--overlap", "0.5", "--images", "x", "--out", "y"],
        ["predict", "--model", "unet-demo", "--image-ids", "z", "--images", "x", "--out", "y"],
        ["train", "--out", "x"],
    ],
)
def test_missing_words_are_usage_errors(words: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        run(*words)
    assert caught.value.code == 2
