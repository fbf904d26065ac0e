"""There and back again is the same, to the pixel and the id: laws over random images."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from segeval.conversion import convert
from tests.given.problems import CATEGORIES, PanopticProblem, panoptic_problems, png_bytes, write_panoptic

THINGS = {c["id"] for c in CATEGORIES if c["isthing"]}
Segments = list[dict[str, Any]]


@contextmanager
def place() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def maps(folder: Path) -> dict[str, Any]:
    """The maps of a folder by name, whichever of the two files holds them."""
    found = {p.stem: np.array(Image.open(p)) for p in folder.glob("*.png")}
    return found | {p.stem: np.load(p) for p in folder.glob("*.npy")}


def united(ids: Any, segments: Segments) -> Any:
    """What a map says if each stuff class, and each class's crowd, is one segment: by class, crowd and pixels."""
    regions: dict[Any, Any] = {}
    for s in segments:
        crowd = bool(s["iscrowd"])
        alone = s["id"] if s["category_id"] in THINGS and not crowd else None
        key = (s["category_id"], crowd and s["category_id"] in THINGS, alone)
        regions[key] = regions.get(key, False) | (ids == s["id"])
    return sorted((k[0], k[1], region.tobytes()) for k, region in regions.items())


def read(path: Path) -> dict[int, Any]:
    """Ids and segments of a panoptic JSON, by image."""
    found = {}
    for entry in json.loads(path.read_text())["annotations"]:
        colours = np.array(Image.open(path.with_suffix("") / entry["file_name"])).astype(np.int64)
        found[entry["image_id"]] = (colours @ [1, 256, 65536], entry["segments_info"])
    return found


def write(problem: PanopticProblem, folder: Path) -> Path:
    entries = [(k, image.truth, image.truth_segments) for k, image in enumerate(problem.images)]
    return write_panoptic(folder, entries, problem.categories)


@given(panoptic_problems(3))
def test_panoptic_to_instances_and_back(problem: PanopticProblem) -> None:
    """With their stuff, instances are the panoptic map: ids, classes, crowds and pixels."""
    with place() as folder:
        src = write(problem, folder / "src")
        there = convert(src, folder / "x.json", to="instance", stuff=True)
        back = read(convert(there.path, folder / "back.json", to="panoptic").path)
    for key, image in enumerate(problem.images):
        ids, segments = back[key]
        assert united(ids, segments) == united(image.truth, image.truth_segments)
        things = [s["id"] for s in image.truth_segments if s["category_id"] in THINGS]
        for ident in things:
            assert np.array_equal(ids == ident, image.truth == ident)


@given(panoptic_problems(2), st.sampled_from(["panoptic-coded", "panoptic-channels"]))
def test_panoptic_to_codes_and_back(problem: PanopticProblem, form: str) -> None:
    with place() as folder:
        (folder / "classes.json").write_text(json.dumps(problem.categories))
        there = convert(write(problem, folder / "src"), folder / "there", to=form)
        said = {"source_form": form, "classes": folder / "classes.json"}
        back = convert(there.path, folder / "back.json", to="panoptic", **said)
        again = convert(back.path, folder / "again", to=form)
        assert maps(there.path).keys() == maps(again.path).keys()
        for name, pixels in maps(there.path).items():
            assert np.array_equal(pixels, maps(again.path)[name])
        found = read(back.path)
    for key, image in enumerate(problem.images):
        # A crowd of stuff is stuff here.
        plain = [s | {"iscrowd": int(s["iscrowd"] and s["category_id"] in THINGS)} for s in image.truth_segments]
        assert united(*found[key]) == united(image.truth, plain)


@given(panoptic_problems(2))
def test_panoptic_is_its_things_over_its_classes(problem: PanopticProblem) -> None:
    """Instances and label map of a truth make it again; the ids of things stay."""
    with place() as folder:
        (folder / "classes.json").write_text(json.dumps(problem.categories))
        src = write(problem, folder / "src")
        labels = convert(src, folder / "labels", to="semantic").path
        instances = convert(src, folder / "x.json", to="instance").path
        done = convert(instances, folder / "back.json", to="panoptic", semantic=labels, classes=folder / "classes.json")
        found = read(done.path)
    for key, image in enumerate(problem.images):
        ids, segments = found[key]
        plain = [s | {"iscrowd": int(s["iscrowd"] and s["category_id"] in THINGS)} for s in image.truth_segments]
        assert united(ids, segments) == united(image.truth, plain)


@given(panoptic_problems(2))
def test_labels_of_panoptic(problem: PanopticProblem) -> None:
    with place() as folder:
        labels = maps(convert(write(problem, folder / "src"), folder / "labels", to="semantic").path)
    for key, image in enumerate(problem.images):
        wanted = np.full(image.truth.shape, 255)
        for s in image.truth_segments:
            wanted[image.truth == s["id"]] = s["category_id"]
        assert np.array_equal(labels[str(key)], wanted)


@given(st.integers(0, 2**32 - 1), st.booleans())
def test_maps_of_ids_to_coco_and_back(seed: int, many: bool) -> None:
    """Instance ids reproduce, whatever they are, with one class and with several."""
    rng = np.random.default_rng(seed)
    size = rng.integers(1, 12, 2)
    pool = rng.integers(1, [300, 2**16, 2**20][rng.integers(0, 3)], 6)
    if many:
        pool = rng.integers(1, 4, 6) * 1000 + rng.integers(0, 1000, 6)
    array = np.where(rng.random(size) < 0.3, 0, rng.choice(pool, size)).astype(np.uint32)
    with place() as folder:
        (folder / "src").mkdir()
        np.save(folder / "src" / "7.npy", array)
        classes = [f"class {k}" for k in range(4)] if many else None
        said: dict[str, Any] = {"source_form": "instance-ids", "classes": classes}
        there = convert(folder / "src", folder / "x.json", to="instance", **said)
        document = json.loads(there.path.read_text())
        back = maps(convert(there.path, folder / "back", to="instance-ids").path)
    assert [image["id"] for image in document["images"]] == [7]
    assert len(document["annotations"]) == len(np.unique(array[array > 0]))
    assert np.array_equal(back["7"], array)


@given(st.integers(0, 2**32 - 1))
def test_results_to_npz_and_back(seed: int) -> None:
    """Masks that overlap, and scores, survive both forms of predictions."""
    from segeval.samples.mask_runs import encode_mask

    rng = np.random.default_rng(seed)
    results, images = [], []
    for key in range(1, rng.integers(2, 4)):
        height, width = (int(n) for n in rng.integers(1, 9, 2))
        images.append({"id": key, "file_name": f"{key}.jpg", "height": height, "width": width})
        for _ in range(rng.integers(0, 4)):
            mask = rng.random((height, width)) < 0.4
            score, category = float(rng.random()), int(rng.integers(1, 3))
            results.append(
                {"image_id": key, "category_id": category, "score": score, "segmentation": encode_mask(mask)}
            )
    document = {"images": images, "annotations": [], "categories": [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]}
    with place() as folder:
        (folder / "gt.json").write_text(json.dumps(document))
        (folder / "results.json").write_text(json.dumps(results))
        there = convert(folder / "results.json", folder / "npz", to="instance-npz", gt=folder / "gt.json")
        said: dict[str, Any] = {"gt": folder / "gt.json", "source_form": "instance-npz"}
        back = convert(there.path, folder / "back.json", to="coco-results", **said)
        assert json.loads(back.path.read_text()) == results


@given(st.integers(0, 2**32 - 1))
def test_a_table_of_classes_and_its_reverse(seed: int) -> None:
    rng = np.random.default_rng(seed)
    old = rng.choice(250, 6, replace=False)
    new = rng.choice(60000, 6, replace=False)
    new[new == 255] = 60001
    array = rng.choice([*old, 255], rng.integers(1, 10, 2)).astype(np.uint8)
    with place() as folder:
        (folder / "a.png").write_bytes(png_bytes(array))
        forth = dict(zip(old.tolist(), new.tolist(), strict=True))
        (folder / "back.csv").write_text("from,to\n" + "".join(f"{b},{a}\n" for a, b in forth.items()))
        there = convert(folder / "a.png", folder / "there", to="labels", table=forth, to_void=65535)
        said: dict[str, Any] = {"source_form": "labels", "from_void": (65535,), "table": folder / "back.csv"}
        back = convert(there.path, folder / "back", to="labels", **said)
        assert np.array_equal(maps(there.path)["a"], np.vectorize({**forth, 255: 65535}.get)(array))
        assert np.array_equal(maps(back.path)["a"], array)
