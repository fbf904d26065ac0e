"""Instances and panoptic maps in suites: their tables, their references, and how they meet label maps."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from segeval_baselines.data import scenes as datasets
from segeval_baselines.data.splits import open_objects
from segeval_baselines.suite.export import fingerprint_of_objects
from segeval_baselines.suite.form import Suite
from segeval_baselines.suite.members import runs_of
from segeval_baselines.suite.plan import plan_of
from segeval_baselines.suite.reading import read_suite
from segeval_baselines.suite.standing import THINGS, Row, Standing, rows_of, standings

from segeval.scoring.evaluation import score
from tests.baselines.suite.toy_suite import run_all
from tests.baselines.toy_objects import write_toys

SMALL = """depth = 18, width = 8, pyramid = 16, anchors = [[8], [16], [32], [48]], \
proposals = {before = [100, 100], after = [60, 60], sampled = 64}, regions = {canonical = 32.0, sampled = 32}, \
heads = {hidden = 32, mask_convolutions = 1}"""

SCENES = f"""
[data.scenes]
spec = "scenes:4"

[defaults]
validations = 0
iterations = 2

[[member]]
model = "unet"
options = {{width = 4, depth = 2, norm = true, shrink = 1}}
recipe = {{batch = 2}}

[[member]]
model = "mask_rcnn"
options = {{{SMALL}}}
recipe = {{batch = 2}}

[[member]]
model = "panoptic_fpn"
options = {{{SMALL}, semantic_width = 16, semantic_groups = 4, merging = {{stuff_area = 100.0}}}}
recipe = {{batch = 2}}
"""

TOYS = f"""
[data.things]
spec = "coco:${{TOYS}}"
score = "val"

[data.all]
spec = "coco_panoptic:${{TOYS}}"
score = "val"

[defaults]
validations = 0
iterations = 2
recipe = {{batch = 2}}

[[member]]
model = "mask_rcnn"
data = "things"
options = {{{SMALL}}}

[[member]]
model = "panoptic_fpn"
data = "all"
options = {{{SMALL}, semantic_width = 16, semantic_groups = 4, merging = {{stuff_area = 100.0}}}}
"""


NUCLEI = """
[data.nuclei]
spec = "nuclei:${NUCLEI}"

[[member]]
model = "unet"
preset = "nuclei"
instances = "watershed"
iterations = 100
validations = 0
options = {width = 8, depth = 2, shrink = 1}
recipe = {batch = 4, crop = [48, 48], rotation = 0.0, colour = 0.0, rate = 0.01}
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Suite, Path]:
    """Three networks of three tasks on a few scenes."""
    folder = tmp_path_factory.mktemp("tasks")
    (folder / "three.toml").write_text(SCENES)
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        patch.setitem(datasets.SCENES, "test", 4)
        suite = read_suite(folder / "three.toml")
        run_all(suite, folder / "out")
    return suite, folder / "out"


@pytest.fixture(scope="module")
def found(ran: tuple[Suite, Path]) -> dict[str, Standing]:
    """The tables by task."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(datasets.SCENES, "test", 4)
        return {s.task: s for s in standings(rows_of(*ran))}


@pytest.fixture(autouse=True)
def _few_scenes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(datasets.SCENES, "test", 4)


def write_discs(root: Path) -> Path:
    """Bright discs on dark ground in the layout of dsb2018; more than 100 of them in the one image of the test."""
    (root / "images").mkdir(parents=True)
    (root / "masks").mkdir()
    lines = ["id,file,split"]
    for number, (split, per_row) in enumerate((("train", 3), ("train", 4), ("val", 3), ("test", 11))):
        side = 16 * per_row
        rows, columns = np.mgrid[:side, :side]
        inside = (rows % 16 - 8) ** 2 + (columns % 16 - 8) ** 2 < 30
        ids = np.where(inside, rows // 16 * per_row + columns // 16 + 1, 0).astype(np.uint16)
        image = np.where(inside[..., None], np.uint8(200), np.uint8(20)).repeat(3, axis=-1)
        Image.fromarray(image).save(root / "images" / f"cells{number}.png")
        Image.fromarray(ids).save(root / "masks" / f"cells{number}.png")
        lines.append(f"{number},cells{number},{split}")
    (root / "index.csv").write_text("\n".join(lines) + "\n")
    return root


def row_of(standing: Standing, name: str) -> Row:
    return next(row for row in standing.rows if row.member.name == name)


def test_each_task_has_its_table(ran: tuple[Suite, Path], found: dict[str, Standing]) -> None:
    members = {task: {row.member.name for row in standing.rows} for task, standing in found.items()}
    assert members["instance"] == {"mask_rcnn", "no-instances"}
    assert members["panoptic"] == {"panoptic_fpn", "no-segments", "stuff-mode"}
    references = {"constant", "mode", "colour", "colour-position"}
    assert members["semantic"] == {"unet", "mask_rcnn", "panoptic_fpn", *references}
    assert not any(row.failure for standing in found.values() for row in standing.rows)
    assert not any(p.due for p in plan_of(*ran))
    page = (ran[1] / "leaderboard.html").read_text()
    for word in ("Instances", "Panoptic", "mask_rcnn (as label maps)", "stuff-mode", "mIoU things"):
        assert word in page
    assert {path.name for path in ran[1].glob("strip-*.png")} == {
        f"strip-{task}-scenes.png" for task in ("semantic", "instance", "panoptic")
    }


def test_references_of_objects_are_what_they_say(ran: tuple[Suite, Path], found: dict[str, Standing]) -> None:
    assert row_of(found["instance"], "no-instances").first.values["AP"] == 0.0
    assert row_of(found["panoptic"], "no-segments").first.values["PQ"] == 0.0
    stuff = row_of(found["panoptic"], "stuff-mode").first
    assert stuff.values["PQ_th"] == 0.0
    assert stuff.values["PQ_st"] > 0.0


def test_detectors_meet_label_maps(ran: tuple[Suite, Path], found: dict[str, Standing]) -> None:
    suite, root = ran
    standing = found["semantic"]
    assert standing.columns[-1] == THINGS
    instances, panoptic = row_of(standing, "mask_rcnn"), row_of(standing, "panoptic_fpn")
    assert np.isnan(instances.mean("mIoU"))
    assert not np.isnan(instances.mean(THINGS))
    assert instances.member.name not in standing.letters
    assert panoptic.mean("mIoU") == panoptic.first.values["mIoU"]
    assert panoptic.member.name in standing.letters
    # Last, for it has no mean over all classes.
    assert standing.rows[-1] is instances
    truths = {row.first.signature.get("truth") for row in standing.rows}
    assert len(truths) == 1
    # The converted maps hold the classes of the segments, and void where there is none.
    run = runs_of(suite, suite.member("panoptic_fpn"), root)[0]
    document = json.loads((run.predictions / "panoptic.json").read_text())
    for entry in document["annotations"]:
        with Image.open(run.predictions / "panoptic" / entry["file_name"]) as image:
            ids = np.array(image).astype(np.int64) @ np.array([1, 256, 65536])
        table = {0: 255, **{s["id"]: s["category_id"] for s in entry["segments_info"]}}
        with Image.open(run.converted / "predictions" / entry["file_name"]) as image:
            assert np.array_equal(np.array(image), np.vectorize(table.get)(ids))


def test_the_mean_over_things_is_that_of_the_things(found: dict[str, Standing]) -> None:
    row = row_of(found["semantic"], "colour-position")
    things = {"car", "person", "bicycle", "sign"}
    values = [r["IoU"] for r in row.first.per_class if r["name"] in things and r["IoU"] == r["IoU"]]
    assert 0 < len(values) <= 4
    assert row.mean(THINGS) == pytest.approx(np.mean(values))


def test_only_what_a_changed_detector_concerns_runs_again(ran: tuple[Suite, Path]) -> None:
    suite, root = ran
    (root / "members/mask_rcnn/seed0/semantic/score/result.json").unlink()
    (root / "members/panoptic_fpn/seed0/predictions/panoptic/0002.png").unlink()
    assert run_all(suite, root) == ["mask_rcnn seed 0: convert", "panoptic_fpn seed 0: predict"]


def test_data_of_cocos_form(tmp_path: Path) -> None:
    write_toys(tmp_path / "toys")
    (tmp_path / "toys.toml").write_text(TOYS)
    suite, root = read_suite(tmp_path / "toys.toml", [f"TOYS={tmp_path / 'toys'}"]), tmp_path / "out"
    said = run_all(suite, root)
    assert [text for text in said if "mask_rcnn" in text] == [
        f"mask_rcnn seed 0: {s}" for s in ("train", "predict", "score")
    ]
    found = {s.task: s for s in standings(rows_of(suite, root))}
    assert set(found) == {"instance", "panoptic"}  # no semantic network, no table of label maps
    for task, name, file in (("instance", "mask_rcnn", "results.json"), ("panoptic", "panoptic_fpn", "panoptic.json")):
        row = row_of(found[task], name)
        assert row.failure is None
        # Against the data's own truth, and not only against what was exported of it.
        kind = "instances" if task == "instance" else "panoptic"
        again = score(
            root / "members" / name / "seed0" / "predictions" / file,
            tmp_path / "toys" / "annotations" / f"{kind}_val.json",
            task=task,
        )
        assert {n: v for n, v in again.values.items() if v == v} == {
            n: v for n, v in row.first.values.items() if v == v
        }
    assert run_all(suite, root) == []


def test_fingerprints_follow_the_files(tmp_path: Path) -> None:
    root = write_toys(tmp_path / "toys")
    first = fingerprint_of_objects(open_objects(f"coco:{root}", "val"))
    assert fingerprint_of_objects(open_objects(f"coco:{root}", "val")) == first
    assert fingerprint_of_objects(open_objects(f"coco:{root}", "train")) != first
    os.utime(root / "images" / "val" / "val1.png", ns=(1, 1))
    second = fingerprint_of_objects(open_objects(f"coco:{root}", "val"))
    assert second != first
    os.utime(root / "annotations" / "instances_val.json", ns=(1, 1))
    third = fingerprint_of_objects(open_objects(f"coco:{root}", "val"))
    assert third not in (first, second)
    moved = root.rename(tmp_path / "moved")
    assert fingerprint_of_objects(open_objects(f"coco:{moved}", "val")) == third


def test_a_semantic_network_is_scored_by_its_instances(tmp_path: Path) -> None:
    write_discs(tmp_path / "discs")
    (tmp_path / "nuclei.toml").write_text(NUCLEI)
    suite, root = read_suite(tmp_path / "nuclei.toml", [f"NUCLEI={tmp_path / 'discs'}"]), tmp_path / "out"
    assert {m.name: m.task for m in suite.members} == {"unet": "instance", "no-instances": "instance"}
    run_all(suite, root)
    (only,) = standings(rows_of(suite, root))
    row = row_of(only, "unet")
    assert row.measure is not None
    # 121 discs, more than the usual 100 detections: all of them can count.
    assert row.first.signature.get("max-dets") == "1,10,100,121"
    assert row.first.values["AP50"] > 0.9
    # With components the training stands; only what comes after it is done again.
    (tmp_path / "nuclei.toml").write_text(NUCLEI.replace("watershed", "components"))
    suite = read_suite(tmp_path / "nuclei.toml", [f"NUCLEI={tmp_path / 'discs'}"])
    assert run_all(suite, root) == ["unet seed 0: predict", "unet seed 0: score"]
