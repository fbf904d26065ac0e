from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from segeval_baselines.data.samples import VOID
from segeval_baselines.data.scenes import Scenes
from segeval_baselines.data.splits import open_objects

from segeval.errors import SegevalError
from segeval.readers.maps.labels import read_labels
from tests.baselines import object_data
from tests.baselines.object_data import HEIGHT, WIDTH, picture
from tests.given.datasets import dataset


def test_coco_masks_of_every_form(tmp_path: Path) -> None:
    masks = object_data.write_coco(tmp_path)
    samples = open_objects(f"coco:{tmp_path}", "train")
    assert list(samples.keys()) == ["one", "two"]
    assert samples.image_ids() == {"one": 41, "two": 40}
    assert samples.taxonomy.names == ("cat", "dog", "bus")
    assert samples.taxonomy.things == (True, True, True)
    sample = samples.load("one")
    assert np.array_equal(sample.image, picture(0))
    assert np.array_equal(sample.masks, np.stack(masks))
    assert sample.labels.tolist() == [2, 1, 3, 1]
    assert sample.crowd.tolist() == [False, False, False, True]
    assert sample.semantic is None
    bare = samples.load("two")
    assert bare.masks.shape == (0, HEIGHT, WIDTH)
    assert bare.labels.shape == bare.crowd.shape == (0,)


def test_coco_panoptic_has_things_and_classes(tmp_path: Path) -> None:
    ids = object_data.write_panoptic(tmp_path)
    samples = open_objects(f"coco_panoptic:{tmp_path}", "val")
    sample = samples.load("one")
    assert samples.image_ids() == {"one": 5}
    assert samples.taxonomy.things == (True, True, True, False, False)
    assert np.array_equal(sample.masks, np.stack([ids == i for i in (900, 65_537, 12)]))
    assert sample.labels.tolist() == [2, 1, 3]
    assert sample.crowd.tolist() == [False, True, False]
    assert sample.semantic is not None
    for value, position in ((900, 1), (65_537, 0), (12, 2), (500_000, 3), (70, 4), (0, VOID)):
        assert (sample.semantic[ids == value] == position).all()


@pytest.mark.parametrize("listed", [False, True])
def test_supercategories_come_from_the_json_or_from_the_file_beside_the_data(tmp_path: Path, listed: bool) -> None:
    ids = object_data.write_panoptic(tmp_path)
    names = ["animal", "vehicle", "plant"]
    if listed:
        names = ["beast", "wheels", "green"]
        classes = [{"id": 10 * k, "name": n, "isthing": int(k < 3)} for k, n in enumerate(names, 1)]
        table = {"3": 10, "7": 10, "9": 20, "20": 30, "21": 30}
        (tmp_path / "categories.json").write_text(json.dumps({"coarse_classes": classes, "to_coarse": table}))
    samples = open_objects(f"coco_panoptic:{tmp_path},supercategories", "val")
    assert list(samples.taxonomy.names) == names
    assert samples.taxonomy.things == (True, True, False)
    sample = samples.load("one")
    assert sample.labels.tolist() == [1, 1, 2]
    assert sample.masks.shape == (3, HEIGHT, WIDTH)  # two animals stay two
    assert sample.semantic is not None
    assert (sample.semantic[(ids == 70) | (ids == 500_000)] == 2).all()


def test_nuclei_by_their_index(tmp_path: Path) -> None:
    ids = object_data.write_nuclei(tmp_path)
    for k, split in enumerate(("train", "val", "test"), 1):
        samples = open_objects(f"nuclei:{tmp_path}", split)
        assert samples.image_ids() == {f"n{k}": k}
        sample = samples.load(f"n{k}")
        assert np.array_equal(sample.masks, np.stack([ids == i for i in (1, 2, 300)]))
        assert sample.labels.tolist() == [1, 1, 1]
        assert not sample.crowd.any()
    assert samples.taxonomy.names == ("nucleus",)


def test_folders_of_instance_ids(tmp_path: Path) -> None:
    ids = object_data.write_instances(tmp_path)
    plain = open_objects(f"instances:{tmp_path}", "val")
    assert list(plain.keys()) == ["b"]
    assert plain.image_ids() == {"b": None}
    assert len(plain.load("b").masks) == len(np.unique(ids)) - 1
    coded = open_objects(f"instances:{tmp_path}", "train", str(tmp_path / "classes.json"))
    sample = coded.load("a")
    assert np.array_equal(sample.masks, np.stack([ids == i for i in (2, 1001, 1002, 2001)]))
    assert sample.labels.tolist() == [2, 1, 1, 2]
    assert sample.crowd.tolist() == [True, False, False, False]


def test_scenes_are_those_of_the_semantic_networks() -> None:
    samples, plain = open_objects("scenes:4", "train"), Scenes("train", 4)
    assert samples.keys() == plain.keys()
    for key in samples.keys():
        sample, flat = samples.load(key), plain.load(key)
        assert np.array_equal(sample.image, flat.image)
        assert sample.semantic is not None
        assert np.array_equal(sample.semantic, flat.labels)
        assert (sample.masks.sum(axis=0) <= 1).all()
        things = np.isin(flat.labels, np.flatnonzero(samples.taxonomy.things))
        assert np.array_equal(sample.masks.any(axis=0), things)
        for mask, label in zip(sample.masks, sample.labels, strict=True):
            assert (flat.labels[mask] == 5 + label).all()
    assert samples.load("0001").crowd.sum() == 1


@pytest.mark.parametrize("spec", ["coco", "coco_panoptic", "nuclei", "instances"])
def test_samples_can_be_sent_to_other_processes(tmp_path: Path, spec: str) -> None:
    write = {
        "coco": object_data.write_coco,
        "coco_panoptic": lambda root: object_data.write_panoptic(root, "train"),
        "nuclei": object_data.write_nuclei,
        "instances": object_data.write_instances,
    }[spec]
    write(tmp_path)
    samples = open_objects(f"{spec}:{tmp_path}", "train")
    again = pickle.loads(pickle.dumps(samples))
    key = samples.keys()[0]
    assert np.array_equal(again.load(key).masks, samples.load(key).masks)


def test_what_is_absent_is_said_in_one_line(tmp_path: Path) -> None:
    object_data.write_panoptic(tmp_path / "p")
    object_data.write_coco(tmp_path / "c")
    object_data.write_nuclei(tmp_path / "n")
    object_data.write_instances(tmp_path / "i")
    (tmp_path / "i" / "images" / "b.png").unlink()
    wrong = [
        (f"coco_panoptic:{tmp_path / 'p'}", "test", r"holds no panoptic_test\*\.json; there is panoptic_val\.json"),
        (f"coco:{tmp_path / 'p'}", "val", r"holds no instances_val\*\.json; put instances_val\.json there"),
        (f"coco:{tmp_path / 'absent'}", "val", "no such folder"),
        (f"nuclei:{tmp_path / 'c'}", "val", "index.csv: no such file"),
        (f"instances:{tmp_path / 'i'}", "test", "test.txt: no such list"),
        (f"instances:{tmp_path / 'i'}", "val", "image b: no file for this image"),
        (f"coco_panoptic:{tmp_path / 'p'},coarse", "val", "names no data with objects"),
        ("scenes:many", "val", "names no data with objects"),
        ("scenes", "dev", "there is no split 'dev'"),
    ]
    for data, split, text in wrong:
        with pytest.raises(SegevalError, match=text) as caught:
            open_objects(data, split)
        assert "\n" not in str(caught.value)


def test_images_that_contradict_their_annotation_are_refused(tmp_path: Path) -> None:
    object_data.write_coco(tmp_path)
    object_data.save(tmp_path / "train2017" / "two.png", picture(0, 4, 4))
    samples = open_objects(f"coco:{tmp_path}", "train")
    with pytest.raises(SegevalError, match="is 4x4, its annotation 12x10"):
        samples.load("two")
    (tmp_path / "train2017" / "one.png").unlink()
    with pytest.raises(SegevalError, match=r"found no folder with one\.png; looked in .*train2017"):
        open_objects(f"coco:{tmp_path}", "train")
    object_data.write_nuclei(tmp_path / "n")
    object_data.save(tmp_path / "n" / "images" / "n1.png", picture(0, 4, 4))
    with pytest.raises(SegevalError, match="the map is 12x10, the image 4x4"):
        open_objects(f"nuclei:{tmp_path / 'n'}", "train").load("n1")


@pytest.mark.parametrize("outside", ["../a.png", "/a.png"])
def test_names_stay_in_their_folder(outside: str, tmp_path: Path) -> None:
    object_data.write_coco(tmp_path)
    path = tmp_path / "annotations" / "instances_train2017.json"
    data = json.loads(path.read_text())
    data["images"][0]["file_name"] = outside
    path.write_text(json.dumps(data))
    with pytest.raises(SegevalError, match="leads out of its folder"):
        open_objects(f"coco:{tmp_path}", "train")


def test_each_nuclei_image_has_its_own_id(tmp_path: Path) -> None:
    object_data.write_nuclei(tmp_path)
    index = tmp_path / "index.csv"
    rows = index.read_text().splitlines()
    fields = rows[0].split(",")
    same = [
        ",".join("1" if n == "id" else "val" if n == "split" else v for n, v in zip(fields, r.split(","), strict=True))
        for r in rows[1:]
    ]
    index.write_text("\n".join([rows[0], *same]))
    with pytest.raises(SegevalError, match="gives the id 1 to"):
        open_objects(f"nuclei:{tmp_path}", "val")


def test_two_files_of_a_split_are_ambiguous(tmp_path: Path) -> None:
    object_data.write_coco(tmp_path)
    again = tmp_path / "annotations" / "instances_train2014.json"
    again.write_text((tmp_path / "annotations" / "instances_train2017.json").read_text())
    with pytest.raises(SegevalError, match=r"instances_train2014\.json and instances_train2017\.json could both be"):
        open_objects(f"coco:{tmp_path}", "train")


def test_masks_that_cannot_be_decoded_name_their_file(tmp_path: Path) -> None:
    object_data.write_coco(tmp_path)
    path = tmp_path / "annotations" / "instances_train2017.json"
    document = json.loads(path.read_text())
    document["annotations"][0]["segmentation"] = [[1, 2, 3, 4]]
    path.write_text(json.dumps(document))
    with pytest.raises(SegevalError, match=r"instances_train2017\.json, image one: instance 1 of this image has a pol"):
        open_objects(f"coco:{tmp_path}", "train").load("one")


def test_real_nuclei_equal_their_own_coco_json() -> None:
    root = dataset("dsb2018")
    maps, listed = open_objects(f"nuclei:{root}", "test"), open_objects(f"coco:{root}", "test")
    assert len(maps.keys()) == 129
    assert set(maps.keys()) == set(listed.keys())
    for key in list(maps.keys())[::30]:
        assert maps.image_ids()[key] == listed.image_ids()[key]
        a, b = maps.load(key), listed.load(key)
        ids = read_labels(root / "masks" / f"{key}.png")
        assert len(a.masks) == len(b.masks) == len(np.unique(ids)) - 1
        assert np.array_equal(a.masks, b.masks)


def test_real_coco_panoptic_equals_its_derived_files() -> None:
    root = dataset("coco_panoptic")
    samples = open_objects(f"coco_panoptic:{root}", "val")
    things, coarse = open_objects(f"coco:{root}", "val"), open_objects(f"coco_panoptic:{root},supercategories", "val")
    assert len(samples.taxonomy) == 133
    assert len(coarse.taxonomy) == 27
    for key in list(samples.keys())[::20]:
        sample, other, rough = samples.load(key), things.load(key), coarse.load(key)
        assert sample.semantic is not None
        ids = np.append(np.array(samples.taxonomy.ids), np.zeros(256 - len(samples.taxonomy), int))
        assert np.array_equal(ids[sample.semantic], read_labels(root / "semantic" / "val" / f"{key}.png"))
        assert np.array_equal(sample.masks[~sample.crowd].any(axis=0), other.masks[~other.crowd].any(axis=0))
        assert np.array_equal(sample.masks, rough.masks)
        assert np.array_equal(sample.semantic == VOID, rough.semantic == VOID)
