"""PQ against panopticapi's own code: counts and IoUs equal, averages to the last bits."""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import shutil
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import panopticapi.evaluation as official
import pytest
from hypothesis import given, settings
from PIL import Image
from scipy import ndimage

from segeval import PanopticQuality, Result, score
from segeval.readers.reading import Reading
from segeval.readers.sources import open_pairs
from tests.given.datasets import dataset
from tests.given.problems import PanopticProblem, panoptic_problems, write_panoptic, write_problem

pytestmark = pytest.mark.parity

CASES = ("crowd", "several crowds of a class", "void", "half", "unmatched", "predicted only", "empty image")
EXAMPLES = 150


class _Sum(float):
    """A sum that writes down what is added to it."""

    log: list[float]

    def __add__(self, other: Any) -> Any:
        self.log.append(float(other))
        return float(self) + other


class _RecordingStat(official.PQStatCat):  # type: ignore[misc]
    """The official statistics of a class, remembering every IoU that it adds."""

    def __init__(self) -> None:
        self.added: list[float] = []
        super().__init__()

    @property
    def iou(self) -> _Sum:
        total = _Sum(self._iou)
        total.log = self.added
        return total

    @iou.setter
    def iou(self, value: float) -> None:
        self._iou = float(value)


def official_statistics(truth: Path, prediction: Path) -> tuple[Any, dict[int, Any]]:
    """What panopticapi counts on one core, class by class, and the categories."""
    gt, pred = json.loads(truth.read_text()), json.loads(prediction.read_text())
    by_id = {a["image_id"]: a for a in pred["annotations"]}
    both = [(a, by_id[a["image_id"]]) for a in gt["annotations"]]
    categories = {c["id"]: c for c in gt["categories"]}
    kept, official.PQStatCat = official.PQStatCat, _RecordingStat
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            stat = official.pq_compute_single_core(
                0, both, str(truth.with_suffix("")), str(prediction.with_suffix("")), categories
            )
    finally:
        official.PQStatCat = kept
    return stat, categories


def our_matches(truth: Path, prediction: Path) -> dict[int, list[float]]:
    """The IoUs of true positives by category, in the order of the images and of their pairs of segments."""
    source = open_pairs(Reading(prediction, truth), "panoptic")
    rule = PanopticQuality(source.taxonomy)
    assert source.taxonomy is not None
    found: dict[int, list[float]] = defaultdict(list)
    for key in source.keys():
        matching = rule.match(source.load(key))
        for t, _, inter, union, same, _ in matching.matched.T.tolist():
            if same:
                found[source.taxonomy.ids[matching.truth[1, t]]].append(inter / union)
    return found


def assert_equal(result: Result, stat: Any, categories: dict[int, Any]) -> None:
    """Every value and every class's row."""
    for row in result.per_class:
        theirs = stat[row["id"]]
        assert (row["tp"], row["fp"], row["fn"]) == (theirs.tp, theirs.fp, theirs.fn), row
    for tail, isthing in (("", None), ("_th", True), ("_st", False)):
        chosen = [c for c in categories.values() if isthing is None or (c["isthing"] == 1) == isthing]
        if not any(stat[c["id"]].tp + stat[c["id"]].fp + stat[c["id"]].fn for c in chosen):
            # The official scorer divides by zero.
            assert all(np.isnan(result[n + tail]) for n in ("PQ", "SQ", "RQ"))
            continue
        means, per_class = stat.pq_average(categories, isthing)
        for name in ("PQ", "SQ", "RQ"):
            assert result[name + tail] == pytest.approx(means[name.lower()], rel=0, abs=1e-14)
        rows = {row["id"]: row for row in result.per_class}
        for label, values in per_class.items():
            row = rows[label]
            if not row["tp"] + row["fp"] + row["fn"]:
                assert all(np.isnan(row[n]) for n in ("PQ", "SQ", "RQ"))
                continue
            for name in ("PQ", "SQ", "RQ"):
                assert row[name] == pytest.approx(values[name.lower()], rel=0, abs=1e-14)


def hard_cases(problem: PanopticProblem) -> set[str]:
    """Which of `CASES` a problem holds, told by brute force."""
    found = set()
    in_truth = {s["category_id"] for image in problem.images for s in image.truth_segments}
    for image in problem.images:
        crowds = Counter(s["category_id"] for s in image.truth_segments if s["iscrowd"])
        if crowds:
            found.add("crowd")
        if any(n > 1 for n in crowds.values()):
            found.add("several crowds of a class")
        if (image.truth == 0).any() and image.prediction_segments:
            found.add("void")
        if not image.prediction_segments or not image.truth_segments:
            found.add("empty image")
        if any(s["category_id"] not in in_truth for s in image.prediction_segments):
            found.add("predicted only")
        for s in image.truth_segments:
            for p in image.prediction_segments:
                if s["category_id"] != p["category_id"] or s["iscrowd"]:
                    continue
                mine, theirs = image.truth == s["id"], image.prediction == p["id"]
                inter = int((mine & theirs).sum())
                if inter and 2 * inter == int(((mine | theirs) & ~(theirs & (image.truth == 0))).sum()):
                    found.add("half")
    return found


@pytest.fixture(scope="module")
def seen() -> Iterator[Counter[str]]:
    """How often each hard case was met; a run without them proves nothing."""
    counter: Counter[str] = Counter()
    yield counter
    if counter["problems"] >= EXAMPLES:
        assert all(counter[case] >= 0.05 * counter["problems"] for case in CASES), counter


@given(problem=panoptic_problems())
@settings(max_examples=EXAMPLES)
def test_random_problems(seen: Counter[str], problem: PanopticProblem) -> None:
    with tempfile.TemporaryDirectory() as folder:
        truth, prediction = write_problem(problem, Path(folder))
        stat, categories = official_statistics(truth, prediction)
        result = score(prediction, truth, task="panoptic", workers=1)
        assert_equal(result, stat, categories)
        ours = our_matches(truth, prediction)
    for label in categories:
        assert ours[label] == stat[label].added
        total = 0.0
        for iou in ours[label]:
            total += iou
        assert total == float(stat[label].iou)
    cases = hard_cases(problem)
    if any(row["fp"] or row["fn"] for row in result.per_class):
        cases.add("unmatched")
    seen.update(cases)
    seen["problems"] += 1


# ---- real truth, perturbed -----------------------------------------------------------------------------------


def shift(ids: np.ndarray, infos: list[Any], rng: np.random.Generator) -> tuple[np.ndarray, list[Any]]:
    """Everything a few pixels aside; what comes in is void."""
    out = np.zeros_like(ids)
    dy, dx = rng.integers(1, 9, 2)
    out[dy:, dx:] = ids[:-dy, :-dx]
    return out, infos


def dilate(ids: np.ndarray, infos: list[Any], rng: np.random.Generator) -> tuple[np.ndarray, list[Any]]:
    """The greater id grows over its neighbours."""
    return ndimage.maximum_filter(ids, size=5), infos


def relabel(ids: np.ndarray, infos: list[Any], rng: np.random.Generator) -> tuple[np.ndarray, list[Any]]:
    """Some segments take another's category."""
    categories = [i["category_id"] for i in infos]
    return ids, [i | {"category_id": rng.choice(categories)} if rng.random() < 0.3 else i for i in infos]


def drop(ids: np.ndarray, infos: list[Any], rng: np.random.Generator) -> tuple[np.ndarray, list[Any]]:
    """Some segments are not predicted."""
    gone = [i["id"] for i in infos if rng.random() < 0.3]
    return np.where(np.isin(ids, gone), 0, ids), infos


def merge(ids: np.ndarray, infos: list[Any], rng: np.random.Generator) -> tuple[np.ndarray, list[Any]]:
    """Some segments join the one listed before them."""
    out = ids.copy()
    for first, second in itertools.pairwise(infos):
        if rng.random() < 0.3:
            out[out == second["id"]] = first["id"]
    return out, infos


def perturbed_prediction(truth: Path, folder: Path, change: Any) -> Path:
    """A prediction made of real truth."""
    rng = np.random.default_rng(7)
    data = json.loads(truth.read_text())
    entries = []
    for entry in data["annotations"]:
        pixels = np.array(Image.open(truth.with_suffix("") / entry["file_name"])).astype(np.int64)
        ids, infos = change(pixels @ np.array([1, 256, 65536]), entry["segments_info"], rng)
        there = set(np.unique(ids).tolist())
        kept = [{"id": i["id"], "category_id": int(i["category_id"])} for i in infos if i["id"] in there]
        entries.append((Path(entry["file_name"]).stem, ids, kept))
    path = write_panoptic(folder, entries, None)
    written = json.loads(path.read_text())
    for mine, theirs in zip(written["annotations"], data["annotations"], strict=True):
        mine["image_id"] = theirs["image_id"]
    path.write_text(json.dumps(written))
    return path


@pytest.fixture(scope="module")
def coco(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real truth's JSON with its PNGs in the folder of the same name, as panopticapi wants it."""
    root, folder = dataset("coco_panoptic"), tmp_path_factory.mktemp("coco")
    shutil.copy(root / "annotations" / "panoptic_val.json", folder / "panoptic_val.json")
    (folder / "panoptic_val").symlink_to(root / "panoptic" / "val", target_is_directory=True)
    return folder / "panoptic_val.json"


@pytest.mark.parametrize("change", [shift, dilate, relabel, drop, merge], ids=lambda f: f.__name__)
def test_real_truth_perturbed(coco: Path, tmp_path: Path, change: Any) -> None:
    prediction = perturbed_prediction(coco, tmp_path, change)
    stat, categories = official_statistics(coco, prediction)
    assert_equal(score(prediction, coco, task="panoptic"), stat, categories)
    ours = our_matches(coco, prediction)
    for label in categories:
        assert ours[label] == stat[label].added
    assert sum(map(len, ours.values())) > 100  # or else nothing was compared


def test_real_truth_against_itself() -> None:
    root = dataset("coco_panoptic")
    truth = root / "annotations" / "panoptic_val.json"
    result = score(root / "panoptic" / "val", truth, task="panoptic")
    assert result.images == 100
    assert dict(result.values) == {
        f"{n}{tail}": 1.0 for tail in ("", "_th", "_st") for n in ("PQ", "SQ", "RQ")
    }  # bit for bit
    for row in result.per_class:
        assert row["fp"] == row["fn"] == 0
        assert row["PQ"] == 1.0 or row["tp"] == 0
