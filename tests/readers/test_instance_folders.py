"""Instances from folders: id maps and NPZ files score as the same instances in COCO JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as official

from segeval.errors import SegevalError
from segeval.samples.taxonomy import Taxonomy
from segeval.scoring.evaluation import score
from tests.given.instance_problems import official as evaluate

SIZE = (40, 50)


def maps(seed: int, divisor: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    labels = np.zeros(SIZE, np.uint16)
    for k in range(1, 6):
        y, x = rng.integers(0, 30), rng.integers(0, 40)
        kind = int(rng.integers(1, 3)) if divisor else 0
        labels[y : y + rng.integers(3, 12), x : x + rng.integers(3, 12)] = kind * divisor + k
    return labels


def moved(labels: np.ndarray) -> np.ndarray:
    return np.roll(labels, (1, 2), (0, 1))


def as_coco(truths: list[np.ndarray], results: list[np.ndarray], divisor: int) -> tuple[dict[str, Any], list[Any]]:
    """The same instances as COCO has them, in the order of their ids."""
    data: dict[str, Any] = {
        "images": [],
        "annotations": [],
        "categories": [{"id": i, "name": str(i)} for i in (0, 1, 2)],
    }
    found = []
    for image, (truth, result) in enumerate(zip(truths, results, strict=True)):
        data["images"].append({"id": image, "height": SIZE[0], "width": SIZE[1]})
        for labels, side in ((truth, "truth"), (result, "result")):
            for i in np.unique(labels).tolist():
                if not i:
                    continue
                rle = official.encode(np.asfortranarray((labels == i).astype(np.uint8)))
                row = {"image_id": image, "category_id": i // divisor if divisor else 0, "segmentation": rle}
                if side == "result":
                    found.append(row | {"score": 1.0})
                    continue
                number = len(data["annotations"]) + 1
                data["annotations"].append(row | {"id": number, "area": int(official.area(rle)), "iscrowd": 0})
    return data, found


@pytest.mark.parametrize("divisor", [0, 1000])
@pytest.mark.parametrize("form", ["png", "masks", "rle"])
def test_folders_score_as_json(tmp_path: Path, divisor: int, form: str) -> None:
    truths = [maps(seed, divisor) for seed in range(4)]
    results = [moved(t) for t in truths]
    for name, stack in (("gt", truths), ("pred", results)):
        folder = tmp_path / name / "nested folder"
        folder.mkdir(parents=True)
        for i, labels in enumerate(stack):
            if name == "gt" or form == "png":
                suffix = "_instanceIds" if name == "gt" else ""
                Image.fromarray(labels).save(folder / f"image {i}{suffix}.png")
                continue
            ids = [v for v in np.unique(labels).tolist() if v]
            masks = np.stack([labels == v for v in ids])
            fields: dict[str, Any] = {
                "labels": np.array([v // divisor if divisor else 0 for v in ids]),
                "scores": np.ones(len(ids)),
            }
            if form == "masks":
                fields["masks"] = masks
            else:
                encoded = [official.encode(np.asfortranarray(m.astype(np.uint8)))["counts"] for m in masks]
                fields |= {"rle": np.array(encoded), "size": np.array(SIZE)}
            np.savez(folder / f"image {i}.npz", **fields)
    (tmp_path / "pred" / ".DS_Store").write_bytes(b"x")
    classes = Taxonomy((0, 1, 2)) if divisor else None
    result = score(tmp_path / "pred", tmp_path / "gt", task="instance", classes=classes)
    expected = evaluate(*as_coco(truths, results, divisor), "segm")
    values = np.array(list(result.values.values()))
    assert (np.where(np.isnan(values), -1.0, values) == expected.stats).all()
    assert ("one-class" in {c.code for c in result.warnings}) == (not divisor)


def test_below_a_thousand_truth_is_a_crowd_and_a_prediction_nothing(tmp_path: Path) -> None:
    truth = np.zeros(SIZE, np.uint16)
    truth[5:15, 5:15], truth[20:30, 5:25] = 1001, 1
    prediction = truth.copy()
    prediction[20:30, 5:15] = 1002
    for name, labels in (("gt", truth), ("pred", prediction)):
        (tmp_path / name).mkdir()
        Image.fromarray(labels).save(tmp_path / name / "a.png")
    result = score(tmp_path / "pred", tmp_path / "gt", task="instance", classes=Taxonomy((1, 2)))
    assert result["AP"] == 1 / (1 + 2**-52)  # the second detection lies on the crowd: ignored
    assert dict(result.per_class[0])["detections"] == 2


def refused(folder: Path, **options: Any) -> str:
    with pytest.raises(SegevalError) as caught:
        score(folder / "pred", folder / "gt", task="instance", **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def folders(tmp_path: Path, **fields: Any) -> Path:
    """A truth of one map, and an NPZ of the given arrays."""
    for name in ("gt", "pred"):
        (tmp_path / name).mkdir()
    Image.fromarray(maps(0, 0)).save(tmp_path / "gt" / "a.png")
    if fields:
        np.savez(tmp_path / "pred" / "a.npz", **fields)
    return tmp_path


MASKS = np.zeros((2, *SIZE), bool)


@pytest.mark.parametrize(
    ("fields", "parts"),
    [
        ({"masks": MASKS, "scores": np.ones(3)}, ("2 instances", "scores of shape (3,)")),
        ({"masks": MASKS, "scores": np.array([1, np.nan])}, ("score nan", "finite")),
        ({"masks": MASKS[:, :20]}, ("50x20", "50x40")),
        ({"masks": MASKS + 7.5}, ("dtype float64", "0 and 1")),
        ({"masks": MASKS[0]}, ("shape (40, 50)", "(N, H, W)")),
        ({"masks": MASKS, "labels": np.array([0, 5])}, ("class 5", "not among the classes")),
        ({"masks": MASKS, "labels": np.array([0.5, 1.0])}, ("labels", "float64", "integers")),
        ({"rle": np.array(["04"])}, ("rle of dtype", "size as (height, width)")),
        ({"rle": np.array(["04"]), "size": np.array(SIZE)}, ("does not cover 40 x 50",)),
        ({"rle": np.array([{"a": 1}], object)}, ("can't be read", "numpy.savez")),
    ],
)
def test_npz_files(tmp_path: Path, fields: dict[str, Any], parts: tuple[str, ...]) -> None:
    text = refused(folders(tmp_path, **fields))
    for part in ("a.npz", *parts):
        assert part in text, text


def test_damaged_archives_and_missing_predictions(tmp_path: Path) -> None:
    folder = folders(tmp_path)
    (folder / "pred" / "a.npz").write_bytes(b"PK no archive")
    assert "can't be read as .npz" in refused(folder)
    (folder / "pred" / "a.npz").rename(folder / "pred" / "b.npz")
    assert "no image has both" in refused(folder)


def test_missing_predictions_as_nothing(tmp_path: Path) -> None:
    folder = folders(tmp_path, masks=MASKS)
    Image.fromarray(maps(1, 0)).save(folder / "gt" / "b.png")
    assert "1 of 2 images have no prediction: b" in refused(folder)
    result = score(folder / "pred", folder / "gt", task="instance", missing="empty")
    assert result.images == 2
    assert result["AP"] == 0.0


def test_codes_outside_the_classes(tmp_path: Path) -> None:
    folder = folders(tmp_path)
    Image.fromarray(maps(0, 1000)).save(folder / "gt" / "a.png")
    Image.fromarray(np.full(SIZE, 9001, np.uint16)).save(folder / "pred" / "a.png")
    assert "class 9" in refused(folder, classes=Taxonomy((1, 2)))


def test_maps_have_no_boxes(tmp_path: Path) -> None:
    assert "--iou segm" in refused(folders(tmp_path, masks=MASKS), iou="bbox")
