"""Recognition: every form of truth against every form of prediction gives the same score."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segeval import Result, SegevalError, score
from segeval.readers.listing import plain_name
from tests.given.problems import colours, png_bytes, write_panoptic

RNG = np.random.default_rng(11)
LABELS = {f"{name}": np.kron(RNG.integers(0, 5, (4, 5)), np.ones((3, 2), int)) for name in ("a", "sub/b", "sub/deep/c")}
PREDICTED = {k: np.where(RNG.random(v.shape) < 0.3, RNG.integers(0, 5, v.shape), v) for k, v in LABELS.items()}
LABELS["a"][:2] = 255

Save = Callable[[Path, Any], None]


def save_palette(path: Path, array: Any) -> None:
    image = Image.fromarray(array.astype(np.uint8), mode="P")
    image.putpalette([(7 * k + 13) % 256 for k in range(768)])  # colours that are no labels
    image.save(path.with_suffix(".png"))


def save_png8(path: Path, array: Any) -> None:
    path.with_suffix(".png").write_bytes(png_bytes(array.astype(np.uint8)))


def save_png16(path: Path, array: Any) -> None:
    path.with_suffix(".PNG").write_bytes(png_bytes(array.astype(np.uint16)))


def save_npy(path: Path, array: Any) -> None:
    np.save(path.with_suffix(".npy"), np.asfortranarray(array.astype(np.int64)))


def save_npz(path: Path, array: Any) -> None:
    np.savez_compressed(path.with_suffix(".npz"), other=np.zeros(3), labels=array.astype(np.int32))


def save_npz_alone(path: Path, array: Any) -> None:
    np.savez(path.with_suffix(".npz"), whatever=array.astype(">u2"))


def save_tiff(path: Path, array: Any) -> None:
    Image.fromarray(array.astype(np.uint8)).save(path.with_suffix(".tif"), compression="tiff_lzw")


def save_tiff16(path: Path, array: Any) -> None:
    Image.fromarray(array.astype(np.uint16)).save(path.with_suffix(".TIFF"))


FORMS: dict[str, Save] = {
    "PNG": save_png8,
    "16-bit PNG": save_png16,
    "palette": save_palette,
    "NPY": save_npy,
    "NPZ": save_npz,
    "NPZ of one": save_npz_alone,
    "TIFF": save_tiff,
    "16-bit TIFF": save_tiff16,
}


def write(folder: Path, maps: dict[str, Any], save: Save) -> Path:
    for name, array in maps.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        save(path, array)
    return folder


def said(result: Result) -> Any:
    """All figures and the truth's digest; what warns of the form itself stays out."""
    data = json.loads(result.to_json())
    return data["values"], data["per_class"], result.signature.get("truth")


@pytest.fixture(scope="module")
def wanted(tmp_path_factory: pytest.TempPathFactory) -> Any:
    root = tmp_path_factory.mktemp("wanted")
    gt, pred = write(root / "gt", LABELS, save_png8), write(root / "pred", PREDICTED, save_png8)
    return said(score(pred, gt, task="semantic"))


@pytest.mark.parametrize("theirs", FORMS)
@pytest.mark.parametrize("mine", FORMS)
def test_semantic_pairs_of_forms(tmp_path: Path, wanted: Any, mine: str, theirs: str) -> None:
    gt = write(tmp_path / "gt", LABELS, FORMS[mine])
    pred = write(tmp_path / "pred", PREDICTED, FORMS[theirs])
    result = score(pred, gt, task="semantic")
    assert result.images == 3
    assert said(result) == wanted
    assert 0 < result["mIoU"] < 1


@pytest.mark.parametrize("form", FORMS)
def test_single_files(tmp_path: Path, form: str) -> None:
    write(tmp_path, {"one": LABELS["a"], "two": PREDICTED["a"]}, FORMS[form])
    one, two = (next(tmp_path.glob(f"{name}.*")) for name in ("one", "two"))
    result = score(two, one, task="semantic")
    assert result.images == 1
    assert result["aAcc"] == np.mean((LABELS["a"] == PREDICTED["a"])[LABELS["a"] != 255])


def test_mixed_forms_in_one_folder(tmp_path: Path, wanted: Any) -> None:
    gt = tmp_path / "gt"
    for (name, array), save in zip(LABELS.items(), (save_npy, save_palette, save_tiff16), strict=True):
        write(gt, {name: array}, save)
    assert said(score(write(tmp_path / "pred", PREDICTED, save_npz), gt, task="semantic")) == wanted


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_small_greys_and_palettes(tmp_path: Path, bits: int) -> None:
    array = RNG.integers(0, min(2**bits, 5), (9, 13)).astype(np.uint8)
    image = Image.fromarray(array, mode="P")
    image.putpalette([250 - k for k in range(48)])
    image.save(tmp_path / "small.png", bits=bits)
    save_npy(tmp_path / "large", array)
    result = score(tmp_path / "small.png", tmp_path / "large.npy", task="semantic")
    assert result["aAcc"] == 1.0
    if bits == 1:
        Image.fromarray(array.astype(bool)).save(tmp_path / "bits.png")
        assert score(tmp_path / "bits.png", tmp_path / "large.npy", task="semantic")["aAcc"] == 1.0


# ---- panoptic ------------------------------------------------------------------------------------------------

# Classes 3 and 7 are things, 11 and 12 stuff; code = class * 1000 + instance, a bare thing is a crowd, 0 is void.
CODES = np.array(
    [
        [3001, 3001, 3002, 3002, 11, 11],
        [3001, 3001, 3002, 3002, 11, 11],
        [7001, 7001, 0, 0, 12, 12],
        [7001, 7001, 3, 3, 12, 12],
    ]
)
GUESS = np.array(
    [
        [3001, 3001, 3001, 3002, 11, 11],
        [3001, 3001, 3002, 3002, 11, 12],
        [7001, 7002, 3003, 3003, 12, 12],
        [7001, 7001, 3003, 3003, 12, 0],
    ]
)
TAXONOMY = [{"id": i, "name": f"c{i}", "isthing": int(i < 10)} for i in (3, 7, 11, 12)]


def parts(code: int) -> tuple[int, int]:
    return (code, 0) if code < 1000 else (code // 1000, code % 1000)


def as_json(folder: Path, codes: Any, truth: bool) -> Path:
    ids, segments = np.zeros(codes.shape, int), []
    for k, code in enumerate(np.unique(codes[codes > 0]).tolist()):
        ids[codes == code] = 70000 * (k + 1)
        category, instance = parts(code)
        crowd = int(truth and category < 10 and not instance)
        segments.append({"id": 70000 * (k + 1), "category_id": category, "iscrowd": crowd})
    return write_panoptic(folder, [("x", ids, segments)], TAXONOMY if truth else None)


def as_json_folder(folder: Path, codes: Any, truth: bool) -> Path:
    return as_json(folder, codes, truth).with_suffix("")


def as_json_inside(folder: Path, codes: Any, truth: bool) -> Path:
    path = as_json(folder, codes, truth)
    return path.rename(path.with_suffix("") / "any name.json").parent


def as_codes(save: Save) -> Callable[[Path, Any, bool], Path]:
    return lambda folder, codes, truth: write(folder, {"x": codes}, save)


def as_channels(folder: Path, codes: Any, truth: bool) -> Path:
    pixels = np.zeros((*codes.shape, 3), np.uint8)
    for code in np.unique(codes).tolist():
        category, instance = parts(code)
        crowd = truth and 0 < category < 10 and not instance
        pixels[codes == code] = category, 255 if crowd else instance, 0
    return write(folder, {"x": pixels}, lambda path, array: save_png8(path, array))


PANOPTIC: dict[str, Callable[[Path, Any, bool], Path]] = {
    "JSON": as_json,
    "folder beside its JSON": as_json_folder,
    "folder with its JSON": as_json_inside,
    "16-bit codes": as_codes(save_png16),
    "NPY codes": as_codes(save_npy),
    "NPZ codes": as_codes(save_npz),
    "TIFF codes": as_codes(save_tiff16),
    "channels": as_channels,
}


@pytest.mark.parametrize("theirs", PANOPTIC)
@pytest.mark.parametrize("mine", PANOPTIC)
def test_panoptic_pairs_of_forms(tmp_path: Path, mine: str, theirs: str) -> None:
    classes = tmp_path / "classes.json"
    classes.write_text(json.dumps(TAXONOMY))
    gt = PANOPTIC[mine](tmp_path / "gt", CODES, True)
    pred = PANOPTIC[theirs](tmp_path / "pred", GUESS, False)
    result = score(pred, gt, task="panoptic", classes=classes)
    rows = {row["id"]: (row["tp"], row["fp"], row["fn"]) for row in result.per_class}
    # Worked out by hand: 3003 lies in void and crowd for all of it; 7002 is a lone pixel; the others match.
    assert rows == {3: (2, 0, 0), 7: (1, 1, 0), 11: (1, 0, 0), 12: (1, 0, 0)}
    iou = {row["id"]: row["SQ"] for row in result.per_class}
    assert iou == {3: (4 / 5 + 3 / 4) / 2, 7: 3 / 4, 11: 3 / 4, 12: 3 / 5}
    if mine == "JSON":
        return
    # Without a list of classes the truth tells things from stuff.
    inferred = score(pred, gt, task="panoptic")
    assert [row["isthing"] for row in inferred.per_class] == [True, True, False, False]
    assert dict(inferred.values) == dict(result.values)


def test_tasks_are_told_where_they_can_be(tmp_path: Path) -> None:
    for name in ("JSON", "folder beside its JSON", "folder with its JSON", "channels"):
        gt = PANOPTIC[name](tmp_path / name, CODES, True)
        assert score(gt, gt).task == "panoptic"
    gt = write(tmp_path / "labels", LABELS, save_png8)
    assert score(gt, gt).task == "semantic"
    with pytest.raises(SegevalError, match="--task semantic, --task instance or --task panoptic"):
        score(gt, as_codes(save_png16)(tmp_path / "codes", CODES, True))


# ---- pairing -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("aachen/aachen_000000_000019_gtFine_labelIds", "aachen/aachen_000000_000019"),
        ("aachen/aachen_000000_000019_leftImg8bit", "aachen/aachen_000000_000019"),
        ("aachen_000000_000019_pred_labelTrainIds", "aachen_000000_000019"),
        ("x/y_gt", "x/y"),
        ("x/y_mask_pred", "x/y"),
        ("0001TP_008550_L", "0001TP_008550"),
        ("_gt", "_gt"),
        ("plain", "plain"),
        ("a_gt/b", "a_gt/b"),
    ],
)
def test_plain_names(name: str, plain: str) -> None:
    assert plain_name(name) == plain


def test_cityscapes_names(tmp_path: Path) -> None:
    """Its truth folders hold label ids, instance ids and colours side by side, and predictions lie flat."""
    for city, frame in (("aachen", 19), ("aachen", 20), ("bonn", 7)):
        stem = f"{city}_{frame:06d}_{frame:06d}"
        labels = RNG.integers(0, 30, (6, 8))
        (tmp_path / "gt" / city).mkdir(parents=True, exist_ok=True)
        (tmp_path / "pred").mkdir(exist_ok=True)
        save_png8(tmp_path / "gt" / city / f"{stem}_gtFine_labelIds.x", labels)
        save_png8(tmp_path / "gt" / city / f"{stem}_gtFine_labelTrainIds.x", labels * 0)
        save_png16(tmp_path / "gt" / city / f"{stem}_gtFine_instanceIds.x", labels * 1000)
        save_png8(tmp_path / "gt" / city / f"{stem}_gtFine_color.x", colours(labels))
        (tmp_path / "gt" / city / f"{stem}_gtFine_polygons.json").write_text("{}")
        save_png8(tmp_path / "pred" / f"{stem}_leftImg8bit.x", labels)
    result = score(tmp_path / "pred", tmp_path / "gt", task="semantic")
    assert result.images == 3
    assert result["mIoU"] == 1.0
    with_train_ids = score(tmp_path / "pred", tmp_path / "gt", task="semantic", gt_suffix="_labelTrainIds")
    assert with_train_ids.images == 3
    assert with_train_ids["mIoU"] < 0.5


def test_nested_folders_pair_by_path_and_flat_ones_by_name(tmp_path: Path) -> None:
    gt = write(tmp_path / "gt", {"x/1": LABELS["a"], "y/1": PREDICTED["a"]}, save_png8)
    pred = write(tmp_path / "pred", {"x/1": LABELS["a"], "y/1": PREDICTED["a"]}, save_npy)
    assert score(pred, gt, task="semantic")["mIoU"] == 1.0
    flat = write(tmp_path / "flat", {"1": LABELS["a"]}, save_png8)
    with pytest.raises(SegevalError, match="no image has both a truth and a prediction"):
        score(flat, gt, task="semantic")


def test_extension_and_suffix_cannot_make_two_images_one(tmp_path: Path) -> None:
    gt = write(tmp_path / "gt", {"a": LABELS["a"], "a_mask": PREDICTED["a"]}, save_png8)
    assert score(gt, gt, task="semantic").images == 2
