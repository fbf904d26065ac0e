"""Archives as people have them: backslashes in names, and a folder or a file within."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from segeval import SegevalError, score
from segeval.checking.checking import check
from segeval.storage.mounts import Mount
from segeval.storage.remote import is_address, located
from tests.given.problems import png_bytes

RNG = np.random.default_rng(2)
MAPS = {name: np.kron(RNG.integers(0, 3, (4, 5)), np.ones((3, 3), int)).astype(np.uint8) for name in "ab"}


def zipped(path: Path, *names: str) -> Path:
    """Members under these names as they are; the map is that of the name's letter."""
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            info = zipfile.ZipInfo("x")
            info.filename = name  # ZipInfo would mend it
            letter = name.replace("\\", "/").rpartition("/")[2][:1]
            archive.writestr(info, png_bytes(MAPS[letter]) if letter else b"")
    return path


def test_backslashes_part_folders(tmp_path: Path) -> None:
    pred = zipped(tmp_path / "pred.zip", "a.png", "b.png")
    for names in (
        ("masks\\a.png", "masks\\b.png"),
        ("masks\\", "masks\\a.png", "masks/b.png"),
        ("m\\n\\a.png", "m\\n\\b.png"),
    ):
        result = score(pred, zipped(tmp_path / "gt.zip", *names), task="semantic")
        assert (result.images, result["mIoU"]) == (2, 1)
    with pytest.raises(SegevalError, match=r"gt\.zip: holds masks/a\.png twice; pack it again"):
        score(pred, zipped(tmp_path / "gt.zip", "masks\\a.png", "masks/a.png"), task="semantic")
    for name in ("..\\a.png", "masks\\..\\..\\a.png", "/a.png", "\\a.png"):
        with pytest.raises(SegevalError, match="which leads out of it"):
            score(pred, zipped(tmp_path / "gt.zip", name), task="semantic")


def test_a_folder_or_a_file_within(tmp_path: Path) -> None:
    pred = zipped(tmp_path / "pred.zip", "a.png", "b.png")
    gt = zipped(tmp_path / "gt.zip", *(f"{folder}/{name}.png" for folder in ("class", "object/deep") for name in "ab"))
    for inside in ("class", "object", "object/deep", "class/"):
        for side, other in ((f"{gt}/{inside}", pred), (pred, f"{gt}/{inside}")):
            assert is_address(f"{gt}/{inside}")
            result = score(side, other, task="semantic")
            assert (result.images, result["mIoU"]) == (2, 1)
    assert result.provenance["gt"] == f"{gt}/class/"
    assert score(gt / "class" / "a.png", pred / "a.png", task="semantic")["mIoU"] == 1
    assert check(pred, gt / "class", task="semantic").fine
    with pytest.raises(SegevalError, match=r"gt\.zip holds no nothing; it holds class, object"):
        located(gt / "nothing")
    folder = tmp_path / "folder.zip"  # a folder of such a name is one
    folder.mkdir()
    (folder / "a.png").write_bytes(png_bytes(MAPS["a"]))
    assert not is_address(folder / "a.png")


def test_several_folders_of_the_same_names_are_told_with_a_remedy_that_works(tmp_path: Path) -> None:
    pred = zipped(tmp_path / "pred.zip", "a.png", "b.png")
    names = [f"{folder}/{name}.png" for folder in ("SegmentationClass", "SegmentationObject") for name in "ab"]
    with pytest.raises(SegevalError) as caught:
        score(pred, zipped(tmp_path / "gt.zip", *names), task="semantic")
    text = str(caught.value)
    assert "segeval-mount" not in text
    assert text.endswith(f"give one, such as {tmp_path / 'gt.zip'}/SegmentationClass")
    assert score(pred, text.rpartition(" ")[2], task="semantic")["mIoU"] == 1


def test_messages_never_name_the_temporary_folder(tmp_path: Path) -> None:
    pred = zipped(tmp_path / "pred.zip", "a.png")
    with pytest.raises(SegevalError) as caught:
        score(pred, zipped(tmp_path / "gt.zip", "b.png"), task="semantic")
    assert str(caught.value).startswith(f"{pred}: no image has both")


def test_no_store_leads_out() -> None:
    class Names:
        def __init__(self, name: str) -> None:
            self.name = name

        def names(self) -> dict[str, float]:
            return {self.name: 0.0}

        def read(self, name: str) -> bytes:
            return b""

    for name in ("../a", "a/../../b", "/a"):
        with pytest.raises(SegevalError, match="leads out of it; pack it again"):
            Mount(Names(name), "memory://x")
