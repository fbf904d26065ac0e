"""The IoU family against slow oracles of the official rules, scikit-learn, and real truth perturbed."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from sklearn.metrics import confusion_matrix as sklearn_confusion

from segeval import Result, SemanticIoU, Taxonomy, score
from segeval.functional import confusion_matrix, dice, iou
from segeval.samples.pairs import Pair
from tests.given.datasets import dataset

pytestmark = pytest.mark.parity

Maps = list[tuple[NDArray[Any], NDArray[Any]]]
VOID = 255
CLASSES = 5
CASES = ("void truth", "void prediction", "absent class", "predicted only", "all void image", "sixteen bits")
EXAMPLES = 120


@st.composite
def problems(draw: st.DrawFn, void_prediction: bool = True) -> Maps:
    """Truth and prediction of some images over `CLASSES` classes; 255 is void."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    used = rng.permutation(CLASSES)[: draw(st.integers(1, CLASSES))]
    maps = []
    for _ in range(draw(st.integers(1, 5))):
        shape = tuple(rng.integers(1, 14, 2))
        block = int(rng.integers(1, 4))
        truth = np.kron(rng.choice(used, shape), np.ones((block, block), int))
        if rng.random() < 0.5:
            truth[rng.random(truth.shape) < rng.choice([0.1, 0.5])] = VOID
        if rng.random() < 0.1:
            truth[:] = VOID
        prediction = np.where(rng.random(truth.shape) < 0.3, rng.integers(0, CLASSES, truth.shape), truth)
        replacement = VOID if void_prediction and rng.random() < 0.3 else int(rng.integers(0, CLASSES))
        prediction[rng.random(truth.shape) < 0.05] = replacement
        prediction[prediction == VOID] = VOID if void_prediction and rng.random() < 0.5 else replacement
        kinds = [np.uint8, np.uint16, np.int64, np.int32]
        maps.append((truth.astype(rng.choice(kinds)), prediction.astype(rng.choice(kinds))))
    return maps


def scored(maps: Maps, **options: Any) -> Result:
    rule = SemanticIoU(
        options.pop("taxonomy", Taxonomy.of_count(CLASSES)), void=options.pop("void", (VOID,)), **options
    )
    return rule.score(rule.observe([Pair(k, t, p) for k, (t, p) in enumerate(maps)]))


def slow_matrix(maps: Maps, ids: Sequence[int]) -> NDArray[np.int64]:
    """(K, K + 1) pixels by plain loops; the last column is void."""
    matrix = np.zeros((len(ids), len(ids) + 1), np.int64)
    for truth, prediction in maps:
        for t, p in zip(truth.ravel().tolist(), prediction.ravel().tolist(), strict=True):
            if t in ids:
                matrix[ids.index(t), ids.index(p) if p in ids else len(ids)] += 1
    return matrix


def mmseg(maps: Maps, classes: int) -> dict[str, Any]:
    """mmsegmentation's rules in float64.

    Pixels whose truth is the ignored value are masked out; the three areas are histograms over the classes, so that a
    prediction outside them is in neither the intersection nor the predicted area; 0 / 0 is NaN and leaves the mean.
    """
    both, true, predicted = (np.zeros(classes) for _ in range(3))
    for truth, prediction in maps:
        mask = truth != VOID
        t, p = truth[mask], prediction[mask]
        for c in range(classes):
            both[c] += ((t == c) & (p == c)).sum()
            true[c] += (t == c).sum()
            predicted[c] += (p == c).sum()
    with np.errstate(all="ignore"):
        per_class = {"IoU": both / (true + predicted - both), "Acc": both / true, "Dice": 2 * both / (true + predicted)}
        values = {"aAcc": both.sum() / true.sum()}
    for name, column in per_class.items():
        defined = column[~np.isnan(column)]
        values["m" + name] = math.fsum(defined) / len(defined) if len(defined) else math.nan
    return {"per_class": per_class, "values": values}


def same(ours: float, theirs: float) -> bool:
    """Equal but for the rounding of a mean; NaN is NaN."""
    return (math.isnan(ours) and math.isnan(theirs)) or abs(ours - theirs) <= 4 * math.ulp(1.0)


def assert_mmseg(result: Result, maps: Maps, classes: int) -> None:
    theirs = mmseg(maps, classes)
    for row in result.per_class:
        for name in ("IoU", "Acc", "Dice"):
            value = float(theirs["per_class"][name][row["id"]])
            assert row[name] == value or (math.isnan(row[name]) and math.isnan(value)), (row["id"], name)
    for name, value in theirs["values"].items():
        assert same(result[name], float(value)), name


@pytest.fixture(scope="module")
def seen() -> Iterator[Counter[str]]:
    """How often each hard case was met."""
    counter: Counter[str] = Counter()
    yield counter
    if counter["problems"] >= EXAMPLES:
        assert all(counter[case] >= 0.05 * counter["problems"] for case in CASES), counter


@given(maps=problems())
@settings(max_examples=EXAMPLES)
def test_matrix_and_mmsegmentation(seen: Counter[str], maps: Maps) -> None:
    result = scored(maps)
    slow = slow_matrix(maps, list(range(CLASSES)))
    assert result.confusion is not None
    assert np.array_equal(result.confusion, slow)
    assert_mmseg(result, maps, CLASSES)
    # What happened in this problem, by the slow matrix.
    truths = np.concatenate([t.ravel() for t, _ in maps]).astype(int)
    predictions = np.concatenate([p.ravel() for _, p in maps]).astype(int)
    seen["problems"] += 1
    seen["void truth"] += bool((truths == VOID).any())
    seen["void prediction"] += bool(slow[:, -1].any())
    seen["absent class"] += bool((slow.sum(1) + slow[:, :-1].sum(0) == 0).any())
    seen["predicted only"] += bool(((slow.sum(1) == 0) & (slow[:, :-1].sum(0) > 0)).any())
    seen["all void image"] += any(bool((t == VOID).all()) for t, _ in maps)
    seen["sixteen bits"] += any(np.uint16 in (t.dtype, p.dtype) for t, p in maps)
    assert len(truths) == len(predictions)


@given(maps=problems(void_prediction=False))
def test_scikit_learn(maps: Maps) -> None:
    truths = np.concatenate([t.ravel() for t, _ in maps]).astype(int)
    predictions = np.concatenate([p.ravel() for _, p in maps]).astype(int)
    keep = truths != VOID
    labels = list(range(CLASSES))
    if not keep.any():
        return
    theirs = sklearn_confusion(truths[keep], predictions[keep], labels=labels)
    result = scored(maps)
    assert result.confusion is not None
    assert np.array_equal(result.confusion[:, :-1], theirs)
    assert not result.confusion[:, -1].any()


@given(maps=problems(void_prediction=False))
def test_detectron2_frequency_weighted(maps: Maps) -> None:
    # fwIoU = sum over classes with truth of IoU * truth / all truth
    slow = slow_matrix(maps, list(range(CLASSES)))[:, :-1].astype(float)
    true, predicted, both = slow.sum(1), slow.sum(0), np.diag(slow)
    there = true > 0
    if not there.any():
        assert math.isnan(scored(maps)["fwIoU"])
        return
    each = both[there] / (true + predicted - both)[there]
    assert same(scored(maps)["fwIoU"], float((each * true[there]).sum() / true.sum()))


@given(maps=problems())
def test_cityscapes(maps: Maps) -> None:
    """Its matrix is over all label ids; false positives come from rows of labels that are not ignored."""
    ignored = (0, 3)
    labels = [c for c in range(CLASSES) if c not in ignored]
    rows = np.zeros((256, 256), np.int64)
    for truth, prediction in maps:
        np.add.at(rows, (truth.astype(int), prediction.astype(int)), 1)
    taxonomy = Taxonomy(tuple(labels))
    result = scored(maps, taxonomy=taxonomy, void=(*ignored, VOID))
    wanted = []
    for label in labels:
        tp = int(rows[label, label])
        fn = int(rows[label].sum()) - tp
        fp = sum(int(rows[other, label]) for other in labels if other != label)
        wanted.append(tp / (tp + fp + fn) if tp + fp + fn else math.nan)
    for row, value in zip(result.per_class, wanted, strict=True):
        assert row["IoU"] == value or (math.isnan(row["IoU"]) and math.isnan(value))
    defined = [v for v in wanted if not math.isnan(v)]
    assert same(result["mIoU"], math.fsum(defined) / len(defined) if defined else math.nan)


@given(maps=problems())
def test_scene_parsing(maps: Maps) -> None:
    """ADE20K: 0 is ignored in the truth and no answer in a prediction; a class that never occurs counts 0."""
    maps = [(np.where(t == VOID, 0, t), np.where(p == VOID, 0, p)) for t, p in maps]
    labels = range(1, CLASSES)
    result = scored(maps, taxonomy=Taxonomy(tuple(labels)), void=(0,), absent="zero")
    total, correct, valid = 0.0, 0, 0
    for c in labels:
        both = sum(int(((t == c) & (p == c)).sum()) for t, p in maps)
        union = sum(int((((t == c) | (p == c)) & (t > 0)).sum()) for t, p in maps)
        total += both / union if union else 0.0
    for t, p in maps:
        correct += int(((t == p) & (t > 0)).sum())
        valid += int((t > 0).sum())
    assert same(result["mIoU"], total / len(labels))
    assert same(result["aAcc"], correct / valid if valid else math.nan)


@given(maps=problems())
def test_reduce_zero_label(maps: Maps) -> None:
    """As at loading in mmsegmentation: 0 becomes 255, the others move down, and 255 stays; predictions don't move."""
    moved = [(np.where((t == 0) | (t == VOID), VOID, t - 1), np.where(p == VOID, VOID, p)) for t, p in maps]
    assert_mmseg(scored(maps, reduce_zero_label=True), moved, CLASSES)


@given(maps=problems())
def test_average_over_images(maps: Maps) -> None:
    """Each image's figures, then their mean; what an image leaves undefined leaves the mean."""
    result = scored(maps, average="image")
    each = [scored([pair]) for pair in maps]
    for name in ("mIoU", "fwIoU", "aAcc", "mAcc", "mDice"):
        defined = [r[name] for r in each if not math.isnan(r[name])]
        assert same(result[name], math.fsum(defined) / len(defined) if defined else math.nan)


@given(maps=problems())
def test_plain_functions(maps: Maps) -> None:
    truth, prediction = maps[0]
    result = scored([maps[0]])
    given = {"prediction": prediction, "truth": truth, "classes": CLASSES, "void": (VOID,)}
    assert np.array_equal(confusion_matrix(**given), slow_matrix([maps[0]], list(range(CLASSES))))
    assert np.array_equal(iou(**given), [row["IoU"] for row in result.per_class], equal_nan=True)
    assert np.array_equal(dice(**given), [row["Dice"] for row in result.per_class], equal_nan=True)


def test_absent_and_predicted_only_classes() -> None:
    truth, prediction = np.array([[0, 0, 1, 1]]), np.array([[0, 2, 1, 1]])
    result = scored([(truth, prediction)])
    assert [row["IoU"] for row in result.per_class][:3] == [0.5, 1.0, 0.0]
    assert math.isnan(result.per_class[3]["IoU"])
    assert math.isnan(result.per_class[2]["Acc"])
    assert result["mIoU"] == 0.5
    assert result["mAcc"] == 0.75
    zero = scored([(truth, prediction)], absent="zero")
    assert zero["mIoU"] == 1.5 / 5


# ---- real truth, perturbed -----------------------------------------------------------------------------------

PERTURBATIONS = {
    "shift": lambda t, rng: np.roll(t, (2, 3), (0, 1)),
    "dilate": lambda t, rng: ndimage.maximum_filter(t, size=3),
    "confuse": lambda t, rng: np.where((t == 8) & (rng.random(t.shape) < 0.4), 10, t),
    "drop": lambda t, rng: np.where(t == 2, 1, t),
    "noise": lambda t, rng: np.where(rng.random(t.shape) < 0.1, rng.integers(0, 11, t.shape), t).astype(np.uint8),
}


@pytest.mark.parametrize("name", PERTURBATIONS)
def test_camvid_perturbed(tmp_path: Path, name: str) -> None:
    """Every value of every class; CamVid's void (11) is predicted here and there, and counts as missed."""
    root = dataset("camvid")
    rng = np.random.default_rng(5)
    maps = []
    for path in sorted((root / "valannot").glob("*.png"))[:30]:
        truth = np.array(Image.open(path))
        prediction = PERTURBATIONS[name](truth, rng)
        Image.fromarray(prediction).save(tmp_path / path.name)
        maps.append((np.where(truth == 11, VOID, truth), np.where(prediction == 11, VOID, prediction)))
    result = score(tmp_path, root / "valannot", task="semantic", classes=str(root / "classes.json"), missing="skip")
    assert result.images == 30
    assert_mmseg(result, maps, 11)
    assert result["mIoU"] < 0.999


def test_camvid_against_itself() -> None:
    folder = dataset("camvid") / "testannot"
    result = score(folder, folder, classes=str(folder.parent / "classes.json"))
    assert {result[name] for name in result.values} == {1.0}
    assert {row["IoU"] for row in result.per_class} == {1.0}
