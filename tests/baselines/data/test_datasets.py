from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from segeval_baselines.data.folders import FolderPair
from segeval_baselines.data.samples import VOID
from segeval_baselines.data.scenes import Scenes
from segeval_baselines.data.splits import LABEL_MAPS, OBJECTS, open_objects, open_split
from segeval_baselines.data.survey import Survey, survey

from segeval.errors import SegevalError
from tests.baselines.toy import COLOURS, NAMES, VOID_ID, write_toy
from tests.given.datasets import dataset


def test_a_folder_gives_positions_and_void(tmp_path: Path) -> None:
    root = write_toy(tmp_path / "toy")
    samples = open_split(f"folder:{root}", "val")
    assert list(samples.keys()) == [f"val{k}" for k in range(4)]
    assert samples.taxonomy.names == NAMES
    assert samples.taxonomy.colours == COLOURS
    sample = samples.load("val0")
    stored = np.array(Image.open(root / "labels" / "val0.png"))
    assert np.array_equal(sample.labels == VOID, stored == VOID_ID)
    assert np.array_equal(sample.labels[stored != VOID_ID], stored[stored != VOID_ID])
    assert sample.image.shape == (48, 64, 3)


def test_ids_need_not_be_positions(tmp_path: Path) -> None:
    root = write_toy(tmp_path / "toy", train=1, val=1)
    (root / "classes.json").write_text(
        '{"classes": [{"id": 2, "name": "ball"}, {"id": 0, "name": "rest"}], "void": [1, 9]}'
    )
    sample = open_split(f"folder:{root}", "train").load("train0")
    stored = np.array(Image.open(root / "labels" / "train0.png"))
    for value, position in ((2, 0), (0, 1), (1, VOID), (9, VOID)):
        assert np.all(sample.labels[stored == value] == position)


def test_folders_elsewhere_and_no_lists(tmp_path: Path) -> None:
    root = write_toy(tmp_path / "toy")
    both = f"folder:{root / 'images'},{root / 'labels'}"
    samples = open_split(both, "train", classes=str(root / "classes.json"))
    assert len(samples.keys()) == 14  # no lists there: every image
    samples = open_split(f"{both},{root}", "train")
    assert len(samples.keys()) == 6


def test_camvid_is_read_as_segnets_authors_lay_it_out() -> None:
    root = dataset("camvid")
    sizes = {split: len(open_split(f"camvid:{root}", split).keys()) for split in ("train", "val", "test")}
    assert sizes == {"train": 367, "val": 101, "test": 233}
    samples = open_split(f"camvid:{root}", "test")
    assert samples.taxonomy.names[:3] == ("Sky", "Building", "Pole")
    sample = samples.load(samples.keys()[0])
    assert sample.image.shape == (360, 480, 3)
    assert set(np.unique(sample.labels)) <= {*range(11), VOID}


def test_lists_with_paths_of_both_sides(tmp_path: Path) -> None:
    for folder in ("train", "trainannot"):
        (tmp_path / folder).mkdir()
    for stem in ("a1", "b.2"):
        Image.fromarray(np.zeros((4, 5, 3), np.uint8)).save(tmp_path / "train" / f"{stem}.png")
        Image.fromarray(np.full((4, 5), 11, np.uint8)).save(tmp_path / "trainannot" / f"{stem}.png")
    (tmp_path / "train.txt").write_text("/SegNet/CamVid/train/a1.png /SegNet/CamVid/trainannot/a1.png\nb.2\n\n")
    samples = open_split(f"camvid:{tmp_path}", "train")
    assert list(samples.keys()) == ["a1", "b.2"]
    assert samples.taxonomy.names[10] == "Bicyclist"
    assert np.all(samples.load("a1").labels == VOID)


def test_scenes_of_two_splits_differ_and_repeat() -> None:
    train, val = Scenes("train", 3), Scenes("val", 3)
    assert list(train.keys()) == ["0000", "0001", "0002"]
    first = train.load("0001")
    assert np.array_equal(first.image, train.load("0001").image)
    assert not np.array_equal(first.image, val.load("0001").image)
    assert set(np.unique(first.labels)) <= {*range(len(train.taxonomy)), VOID}
    assert len(open_split("scenes:7", "train").keys()) == 7


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda r: (r / "labels" / "train3.png").unlink(), "image train3: no file for this image"),
        (lambda r: (r / "train.txt").unlink(), "train.txt: no such list"),
        (lambda r: (r / "classes.json").unlink(), "the classes are unknown"),
        (lambda r: (r / "images" / "train0.jpg").write_bytes(b""), "are one key"),
    ],
)
def test_wrong_folders_are_told_in_one_line(tmp_path: Path, spoil: object, message: str) -> None:
    root = write_toy(tmp_path / "toy")
    spoil(root)  # type: ignore[operator]
    with pytest.raises(SegevalError, match=message):
        open_split(f"folder:{root}", "train")


def test_wrong_files_are_told_in_one_line(tmp_path: Path) -> None:
    root = write_toy(tmp_path / "toy")
    samples = open_split(f"folder:{root}", "train")
    Image.fromarray(np.full((48, 64), 7, np.uint8)).save(root / "labels" / "train0.png")
    with pytest.raises(SegevalError, match=r"train0.png: value 7 is no class"):
        samples.load("train0")
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(root / "labels" / "train1.png")
    with pytest.raises(SegevalError, match="single-channel labels of the image's size"):
        samples.load("train1")
    (root / "images" / "train2.png").write_bytes(b"not a picture")
    with pytest.raises(SegevalError, match="can't be read as an image"):
        samples.load("train2")
    for data in ("nothing", "camvid:", "scenes:x", "scenes:0", "scenes:²", "coco:x"):
        with pytest.raises(SegevalError, match="names no data"):
            open_split(data, "train")
    with pytest.raises(SegevalError, match="no split"):
        open_split("scenes", "trial")


@pytest.mark.parametrize("data", ["scenes", "scenes:3", "cityscapes:here"])
def test_classes_that_cannot_be_replaced_are_not_given_in_vain(data: str) -> None:
    with pytest.raises(SegevalError, match=r"the classes of \w+ can't be replaced; leave --classes out"):
        open_split(data, "train", classes="5")


def test_every_kind_of_data_is_named_where_none_is() -> None:
    for opener, table in ((open_split, LABEL_MAPS), (open_objects, OBJECTS)):
        with pytest.raises(SegevalError) as caught:
            opener("nothing", "train")
        said = str(caught.value)
        assert [said.index(kind.spelling) for kind in table.values()] == sorted(
            said.index(kind.spelling) for kind in table.values()
        )
        assert all(kind.spelling.partition(":")[0] == word for word, kind in table.items())


def test_a_survey_counts_and_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write_toy(tmp_path / "toy")
    samples = open_split(f"folder:{root}", "train")
    found = survey(samples, cache=tmp_path / "cache")
    loaded = [samples.load(k) for k in samples.keys()]
    labels = np.stack([s.labels for s in loaded])
    images = np.stack([s.image for s in loaded]) / 255
    assert found.pixels == tuple(int((labels == c).sum()) for c in range(3))
    assert found.present == tuple(int(sum((m != VOID).sum() for m in labels if (m == c).any())) for c in range(3))
    np.testing.assert_allclose(found.mean, images.mean(axis=(0, 1, 2)), atol=1e-5)
    np.testing.assert_allclose(found.std, images.std(axis=(0, 1, 2)), atol=1e-5)
    assert sum(found.frequencies()) == pytest.approx(1)

    def never(self: FolderPair, key: str) -> None:
        raise AssertionError("counted twice")

    monkeypatch.setattr(FolderPair, "load", never)
    assert survey(samples, cache=tmp_path / "cache") == found


def test_median_frequency_weights_are_those_of_the_losses(tmp_path: Path) -> None:
    from segeval.losses import median_frequency_weights

    root = write_toy(tmp_path / "toy")
    samples = open_split(f"folder:{root}", "train")
    labels = [samples.load(k).labels for k in samples.keys()]
    expected = median_frequency_weights(labels, 3, ignore_index=VOID)
    np.testing.assert_allclose(survey(samples, cache=tmp_path).median_frequency_weights(), expected, rtol=1e-6)
    assert Survey((4, 0, 1), (8, 0, 4), (0, 0, 0), (1, 1, 1)).median_frequency_weights() == [0.75, 0.0, 1.5]
