"""Every form on disk holds the same scene, read back by other people's code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from PIL import Image

from segeval.errors import SegevalError
from segeval.readers.classes import read_classes
from segeval.scenes import CLASSES, Scene, make_scene
from segeval.scenes.writers import encode_mask, scene_name
from tests.given.scenes import write_scenes

mask_api = pytest.importorskip("pycocotools.mask")
COUNT = 6


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scenes(tmp_path_factory.mktemp("scenes") / "set", COUNT, seed=2)


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [make_scene(index, seed=2) for index in range(COUNT)]


def load(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def pixels(path: Path) -> NDArray[Any]:
    return np.array(Image.open(path))


def test_files_depend_on_neither_count_nor_run(folder: Path, tmp_path: Path) -> None:
    fewer = write_scenes(tmp_path / "a", 2, seed=2)
    for path in sorted(fewer.rglob("*.png")):
        assert path.read_bytes() == (folder / path.relative_to(fewer)).read_bytes()
    again = write_scenes(tmp_path / "b", 2, seed=2)
    for path in sorted(fewer.rglob("*.json")):
        assert path.read_bytes() == (again / path.relative_to(fewer)).read_bytes()


def test_label_maps_and_images_are_the_scenes(folder: Path, scenes: list[Scene]) -> None:
    for index, scene in enumerate(scenes):
        name = f"{scene_name(index)}.png"
        labels = Image.open(folder / "truth" / "semantic" / name)
        assert labels.mode == "P"
        assert (np.array(labels) == scene.labels).all()
        assert (pixels(folder / "images" / name) == scene.image).all()
        shown = np.array(labels.convert("RGB"))
        for class_id, colour in zip(CLASSES.ids, CLASSES.colours, strict=True):
            assert (shown[scene.labels == class_id] == colour).all()


def test_panoptic_json_and_png_agree(folder: Path, scenes: list[Scene]) -> None:
    document = load(folder / "truth" / "panoptic.json")
    assert [image["id"] for image in document["images"]] == list(range(COUNT))
    for entry, scene in zip(document["annotations"], scenes, strict=True):
        ids = pixels(folder / "truth" / "panoptic" / entry["file_name"]).astype(int) @ (1, 256, 65536)
        assert (ids == scene.ids).all()
        assert [s["id"] for s in entry["segments_info"]] == np.unique(ids[ids > 0]).tolist()
        for info, segment in zip(entry["segments_info"], scene.segments, strict=True):
            mask = ids == info["id"]
            rows, columns = np.nonzero(mask)
            assert (info["category_id"], info["iscrowd"]) == (segment.category, segment.iscrowd)
            assert info["area"] == len(rows)
            left, top, right, bottom = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
            assert info["bbox"] == [left, top, right - left, bottom - top]


def test_instances_are_the_things_and_decode_to_their_pixels(folder: Path, scenes: list[Scene]) -> None:
    document = load(folder / "truth" / "instances.json")
    assert [c["name"] for c in document["categories"]] == ["person", "car", "bicycle", "sign"]
    entries = iter(document["annotations"])
    for index, scene in enumerate(scenes):
        for segment in scene.segments:
            if not segment.isthing:
                continue
            entry = next(entries)
            rle = entry["segmentation"]
            assert (entry["image_id"], entry["category_id"]) == (index, segment.category)
            assert entry["iscrowd"] == segment.iscrowd
            assert (mask_api.decode(rle) == (scene.ids == segment.id)).all()
            assert entry["area"] == mask_api.area(rle)
            assert entry["bbox"] == mask_api.toBbox(rle).tolist()
    assert next(entries, None) is None
    assert len({entry["id"] for entry in document["annotations"]}) == len(document["annotations"])
    assert any(entry["iscrowd"] for entry in document["annotations"])


def test_instance_codes_are_class_and_instance(folder: Path, scenes: list[Scene]) -> None:
    for index, scene in enumerate(scenes):
        codes = pixels(folder / "truth" / "instance_ids" / f"{scene_name(index)}.png").astype(int)
        whole = codes >= 1000
        assert (np.where(whole, codes // 1000, codes) == scene.labels).all()
        for segment in scene.segments:
            values = np.unique(codes[scene.ids == segment.id])
            assert len(values) == 1
            assert (values[0] >= 1000) == (segment.isthing and not segment.iscrowd)
        instances = sum(s.isthing and not s.iscrowd for s in scene.segments)
        assert np.unique(codes[whole] % 1000).tolist() == list(range(1, instances + 1))


def test_the_class_list_reads_back(folder: Path) -> None:
    assert read_classes(str(folder / "truth" / "classes.json")) == (CLASSES, None)


@given(arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_masks_are_encoded_as_the_official_code_does(mask: NDArray[np.bool_]) -> None:
    theirs = mask_api.encode(np.asfortranarray(mask, np.uint8))
    assert encode_mask(mask) == {"size": theirs["size"], "counts": theirs["counts"].decode()}


def test_no_scenes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SegevalError, match="0 scenes can't be written; ask for 1 or more"):
        write_scenes(tmp_path, 0)
