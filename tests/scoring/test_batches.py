"""Batches, logits and tensors give the same tally as one image after another."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segeval import Accumulator, SegevalError, Taxonomy
from segeval.metrics.semantic.channels import channel_values
from segeval.metrics.semantic.rule import SemanticIoU
from segeval.scoring import waiting
from tests.given.problems import CATEGORIES, PanopticProblem, colours, panoptic_problems

torch = pytest.importorskip("torch")

THINGS = Taxonomy(
    tuple(c["id"] for c in CATEGORIES),
    tuple(c["name"] for c in CATEGORIES),
    tuple(bool(c["isthing"]) for c in CATEGORIES),
)
RULES: dict[str, dict[str, Any]] = {
    "plain": {"classes": 4},
    "void": {"classes": 5, "void": (2, 255)},
    "wide": {"classes": Taxonomy((0, 3, 300)), "void": (65535,)},
    "far": {"classes": Taxonomy((0, 3, 2**22)), "void": (255,)},
    "reduced": {"classes": 3, "reduce_zero_label": True},
    "binary": {"binary": True},
    "mapped": {"classes": 3, "map_truth": ((7, 1), (3, 255)), "map_prediction": ((3, 0),)},
}
LABELS: dict[str, list[int]] = {
    "plain": [0, 1, 2, 3, 255],
    "void": [0, 1, 2, 3, 4, 255],
    "wide": [0, 3, 300, 65535],
    "far": [0, 3, 2**22, 255],
    "reduced": [0, 1, 2, 255],
    "binary": [0, 255],
    "mapped": [0, 1, 2, 3],
}


def _maps(seed: int, name: str, images: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    shape = (images, *rng.integers(1, 9, 2))
    return rng.choice(LABELS[name], shape), rng.choice(LABELS[name][:-1], shape)


def _one_by_one(name: str, truth: Any, prediction: Any) -> Accumulator:
    seen = Accumulator("semantic", **RULES[name])
    for i in range(len(truth)):
        seen.update(prediction=prediction[i], truth=truth[i], key=i)
    return seen


@pytest.fixture
def as_if_on_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tensors in host memory go the way of a device's."""
    _pretend(monkeypatch)


def _pretend(patch: pytest.MonkeyPatch) -> None:
    from segeval.scoring.device.counting import Fetched

    patch.setattr(waiting, "on_device", lambda *sides: all(isinstance(s, torch.Tensor) for s in sides))
    patch.setattr(Fetched, "ready", lambda self: False)  # still on its way


@pytest.mark.parametrize("name", RULES)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4))
def test_a_batch_is_its_images(name: str, seed: int, images: int) -> None:
    truth, prediction = _maps(seed, name, images)
    wanted = _one_by_one(name, truth, prediction)
    for make in (np.asarray, torch.from_numpy, list):
        seen = Accumulator("semantic", **RULES[name])
        seen.update(prediction=make(prediction), truth=make(truth), keys=range(images))
        assert seen.tally == wanted.tally
    if truth.shape[2] not in (3, 4):  # else they might be colours
        unkeyed = Accumulator("semantic", **RULES[name])
        unkeyed.update(prediction=prediction, truth=truth)
        assert unkeyed.tally == wanted.tally


@pytest.mark.usefixtures("as_if_on_device")
@pytest.mark.parametrize("name", RULES)
def test_a_device_counts_the_same_label_maps(name: str) -> None:
    for seed in range(40):
        truth, prediction = _maps(seed, name, 1 + seed % 3)
        wanted = _one_by_one(name, truth, prediction)
        seen = Accumulator("semantic", **RULES[name])
        seen.update(prediction=torch.from_numpy(prediction), truth=torch.from_numpy(truth), keys=range(len(truth)))
        assert seen._waiting, "the device's way was not taken"
        assert seen.tally == wanted.tally


def test_a_device_says_what_is_wrong_later(as_if_on_device: None) -> None:
    seen = Accumulator("semantic", classes=3)
    truth = torch.tensor([[0, 1], [2, 2]])
    seen.update(prediction=truth, truth=truth, key="good")
    for bad in (7, -3):
        seen.update(prediction=truth, truth=torch.where(truth == 1, bad, truth), key="bad")
        with pytest.raises(SegevalError, match=f"image bad: truth holds the label {bad}, which is not among"):
            seen.compute()
        assert seen.compute().images == 1
    with pytest.raises(SegevalError, match="image x: prediction is 1x2 but its truth is 2x2"):
        seen.update(prediction=truth[:, :1], truth=truth, key="x")
    with pytest.raises(SegevalError, match="truth holds floats"):
        seen.update(prediction=truth, truth=truth + 0.5, key="x")
    assert seen.compute()["mIoU"] == 1.0


@pytest.mark.parametrize("device", [False, True])
def test_logits(device: bool, request: pytest.FixtureRequest) -> None:
    if device:
        request.getfixturevalue("as_if_on_device")
    rng = np.random.default_rng(5)
    logits = rng.integers(0, 4, (3, 4, 6, 5)).astype(np.float32)  # with ties: the first channel wins
    truth = rng.integers(0, 4, (3, 6, 5))
    labels = logits.argmax(1)
    wanted = Accumulator("semantic", classes=4)
    wanted.update(prediction=labels, truth=truth, keys="abc")
    for make in (
        np.asarray,
        torch.from_numpy,
        lambda a: torch.from_numpy(a).bfloat16() if a.dtype.kind == "f" else torch.from_numpy(a),
    ):
        seen = Accumulator("semantic", classes=4)
        seen.update(prediction=make(logits), truth=make(truth), keys="abc")
        assert seen.tally == wanted.tally
        alone = Accumulator("semantic", classes=4)
        for i, key in enumerate("abc"):
            alone.update(prediction=make(logits)[i], truth=make(truth)[i], key=key)
        assert alone.tally == wanted.tally
    with pytest.raises(SegevalError, match="logits have 4 channels for 7 classes"):
        Accumulator("semantic", classes=7).update(prediction=torch.from_numpy(logits), truth=torch.from_numpy(truth))


@pytest.mark.parametrize("device", [False, True])
def test_undefined_logits(device: bool, request: pytest.FixtureRequest) -> None:
    if device:
        request.getfixturevalue("as_if_on_device")
    logits = torch.zeros(2, 3, 2, 2)
    logits[1, 2, 0, 1] = float("nan")
    for guess in (logits, logits[:, 2:]):
        seen = Accumulator("semantic", classes=3)
        with pytest.raises(SegevalError, match="image b: the logits of 1 pixels hold NaN"):
            seen.update(prediction=guess, truth=torch.zeros(2, 2, 2, dtype=torch.int64), keys="ab") or seen.compute()
        assert len(seen.tally) == 0
    short = Accumulator("instance", classes=1)
    masks = {"masks": torch.ones(1, 2, 2, dtype=torch.bool), "labels": torch.tensor([0])}
    short.update(prediction={**masks, "scores": torch.tensor([0.5]).bfloat16()}, truth=masks, key="a")
    assert short.compute()["AP"] == pytest.approx(1)


def test_channels_stand_for_classes() -> None:
    assert channel_values(SemanticIoU(Taxonomy((3, 7, 9))), 3) == [3, 7, 9]
    assert channel_values(SemanticIoU(Taxonomy.of_count(4), void=(0,)), 4) == [0, 1, 2, 3]
    assert channel_values(SemanticIoU(Taxonomy.of_count(4), void=(0,)), 3) == [1, 2, 3]
    assert channel_values(SemanticIoU(), 3) == [0, 1, 2]


def test_one_channel_is_a_foreground() -> None:
    seen = Accumulator("semantic", binary=True)
    seen.update(prediction=np.array([[[[-1.0, 0.0, 2.0]]]]), truth=np.array([[[0, 1, 1]]]), keys=["a"])
    assert seen.compute().per_class[1]["IoU"] == 0.5


def _panoptic(problem: PanopticProblem, make: Any) -> tuple[list[Any], list[Any]]:
    return (
        [(make(i.prediction), i.prediction_segments) for i in problem.images],
        [(make(i.truth), i.truth_segments) for i in problem.images],
    )


@given(panoptic_problems())
def test_panoptic_batches(problem: PanopticProblem) -> None:
    wanted = Accumulator("panoptic", classes=THINGS)
    predictions, truths = _panoptic(problem, np.asarray)
    keys = list(range(len(truths)))
    for key, (prediction, truth) in enumerate(zip(predictions, truths, strict=True)):
        wanted.update(prediction=prediction, truth=truth, key=key)
    makers = (
        np.asarray,
        lambda ids: torch.from_numpy(ids.astype(np.int64)),
        colours,
        lambda ids: torch.from_numpy(colours(ids)),
    )
    with pytest.MonkeyPatch.context() as patch:
        for device in (False, True):
            if device:
                _pretend(patch)
            for make in makers:
                predictions, truths = _panoptic(problem, make)
                seen = Accumulator("panoptic", classes=THINGS)
                seen.update(prediction=predictions, truth=truths, keys=keys)
                assert bool(seen._waiting) == (device and isinstance(truths[0][0], torch.Tensor))
                assert seen.tally == wanted.tally
    same = [i for i in problem.images if i.truth.shape == problem.images[0].truth.shape]
    stacked = Accumulator("panoptic", classes=THINGS)
    stacked.update(
        prediction=(np.stack([i.prediction for i in same]), [i.prediction_segments for i in same]),
        truth=(np.stack([i.truth for i in same]), [i.truth_segments for i in same]),
        keys=range(len(same)),
    )
    assert len(stacked.tally) == len(same)


def test_a_device_says_what_is_wrong_with_segments(as_if_on_device: None) -> None:
    ids = torch.tensor([[1, 1], [2, 2]])
    listed = [{"id": 1, "category_id": 7}, {"id": 2, "category_id": 3}]
    seen = Accumulator("panoptic", classes=THINGS)
    seen.update(prediction=(ids, listed), truth=(ids, listed[:1]), key="p")
    with pytest.raises(SegevalError, match="image p: the truth's pixels hold the segment id 2"):
        seen.compute()
    seen.update(prediction=(ids, [*listed, {"id": 5, "category_id": 3}]), truth=(ids, listed), key="p")
    with pytest.raises(SegevalError, match="the prediction lists segment 5, which has no pixel"):
        seen.compute()
    with pytest.raises(SegevalError, match="segment id 0 is void"):
        seen.update(prediction=(ids, listed), truth=(ids, [{"id": 0, "category_id": 7}]), key="p")
    seen.update(prediction=(ids, listed), truth=(ids, listed), key="p")
    assert seen.compute()["PQ"] == 1.0


def test_instance_batches() -> None:
    rng = np.random.default_rng(0)
    truths = [{"masks": rng.random((2, 8, 9)) < 0.5, "labels": np.array([1, 2])} for _ in range(3)]
    guesses = [{**t, "scores": np.array([0.5, 0.25])} for t in truths]
    alone, together = (Accumulator("instance", classes=3) for _ in range(2))
    for key, (guess, truth) in enumerate(zip(guesses, truths, strict=True)):
        alone.update(prediction=guess, truth=truth, key=key)
    tensors = [[{k: torch.from_numpy(v) for k, v in one.items()} for one in side] for side in (guesses, truths)]
    together.update(prediction=tensors[0], truth=tensors[1], keys=[0, 1, 2])
    assert together.tally == alone.tally
    assert together.compute()["AP"] == 1.0


def test_keys_and_duplicates() -> None:
    maps = np.array([[[0, 1]], [[1, 1]], [[0, 0]]])
    seen = Accumulator("semantic", classes=2)
    with pytest.raises(SegevalError, match="3 images but 2 keys"):
        seen.update(prediction=maps, truth=maps, keys=["a", "b"])
    with pytest.raises(SegevalError, match="2 predictions but 3 truths"):
        seen.update(prediction=maps[:2], truth=maps, keys=["a", "b", "c"])
    seen.update(prediction=maps, truth=maps, keys=["a", "b", "c"])
    seen.update(prediction=maps[:2], truth=maps[:2], keys=["a", "b"])  # as a padded sampler does
    result = seen.compute()
    assert result.images == 3
    assert [w.message for w in result.warnings] == ["2 images came twice with the same content and were counted once"]
    with pytest.raises(SegevalError, match="image a: was counted twice with different content"):
        seen.update(prediction=1 - maps[:1], truth=maps[:1], keys=["a"]) or seen.compute()


@given(st.lists(st.binary(min_size=7, max_size=7), min_size=1, max_size=3), st.integers(1, 7))
def test_the_checksum_of_rows(rows: list[bytes], length: int) -> None:
    from segeval.scoring.device.crc import crc_of_rows

    data = torch.tensor([list(row[:length]) for row in rows], dtype=torch.uint8)
    assert crc_of_rows(data).tolist() == [zlib.crc32(row[:length]) for row in rows]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_cuda() -> None:
    for name in RULES:
        truth, prediction = _maps(1, name, 3)
        seen = Accumulator("semantic", **RULES[name])
        seen.update(prediction=torch.from_numpy(prediction).cuda(), truth=torch.from_numpy(truth).cuda(), keys=range(3))
        assert seen._waiting or name == "far"
        assert seen.tally == _one_by_one(name, truth, prediction).tally
