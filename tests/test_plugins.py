"""Formats and tasks of other packages: found through their entry points, and only where a name is none of our own."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segeval import SegevalError, plugins, score
from segeval.comparison.runs import load_run
from segeval.conversion import convert
from segeval.metrics.tasks import rule_of
from segeval.readers.formats import format_of
from tests.cli.commands import segeval
from tests.cli.refusals import GOOD, LABELS, Capsys, folders, misused, refused
from tests.given.scenes import write_scenes

FORMAT = '''
import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from segeval.readers.coco.panoptic import CocoPanoptic
from segeval.readers.formats import Format
from segeval.readers.maps.instances import InstanceFolder
from segeval.samples.taxonomy import Taxonomy


@dataclass(frozen=True)
class Tables:
    """A folder of label maps as CSV."""

    folder: Path
    taxonomy: Taxonomy
    by_id: bool = False

    def keys(self):
        return tuple(sorted(path.stem for path in self.folder.glob("*.csv")))

    def name(self, key):
        return str(key)

    def file(self, key):
        return str(self.folder / f"{key}.csv")

    def load(self, key):
        return np.loadtxt(self.file(key), np.uint8, delimiter=",", ndmin=2)


def open_tables(path, side, taxonomy, suffix):
    return Tables(path, taxonomy or Taxonomy((0, 1, 2), ("road", "sky", "car")))


TABLES = Format("semantic", "label maps as CSV", open_tables)
SEGMENTS = Format("panoptic", "ours", lambda path, side, taxonomy, suffix: CocoPanoptic.open(path, side))
OBJECTS = Format("instance", "ours", lambda path, side, taxonomy, suffix: InstanceFolder.open(path, side, taxonomy))
NOT_A_FORMAT = 3
'''

RULE = '''
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from segeval.samples.labels import as_labels, crc_of
from segeval.metrics.metric import Metric
from segeval.metrics.options import rule_to_dict
from segeval.options import option
from segeval.results.result import Result
from segeval.evidence.rows import Rows, image_digest
from segeval.results.signature import Signature
from segeval.evidence.tally import Tally, in_order
from segeval.samples.taxonomy import Taxonomy


@dataclass(frozen=True)
class Agreement(Metric):
    """The share of images of which enough pixels agree."""

    task: ClassVar[str] = "agreement"
    headline: ClassVar[str] = "share"
    reads: ClassVar[str] = "semantic"

    taxonomy: Taxonomy | None = option(None, "classes", flag="-")
    least: int = option(50, "per cent of pixels that must agree", metavar="N", parse=int)

    def observe(self, pairs):
        keys, digests, same, pixels = [], [], [], []
        for pair in pairs:
            truth = as_labels(pair.truth, "truth", file=pair.truth_file, key=pair.key)
            keys.append(pair.key)
            digests.append(image_digest(pair.key, *truth.shape, crc_of(truth)))
            same.append(int((truth == pair.prediction).sum()))
            pixels.append(truth.size)
        counts = {"same": np.array(same, np.int64), "pixels": np.array(pixels, np.int64)}
        rows = Rows(np.arange(len(keys), dtype=np.int32), {}, counts)
        rule = Signature.of("agreement", []).format()
        return in_order(Tally("agreement", rule, tuple(keys), np.array(digests, np.uint64), {"images": rows}))

    def score(self, tally):
        rows = tally.tables["images"]
        value = float(np.mean(rows["same"] * 100 >= rows["pixels"] * self.least))
        signature = Signature.of("agreement", [("least", str(self.least)), ("truth", tally.digest[:8])])
        classes = [{"id": i, "name": str(i), "share": value} for i in range(2)]
        values = {"share": value}
        return Result("agreement", signature, len(tally), values, classes, rule=rule_to_dict(self), tally=tally)

    def per_image(self, tally):
        rows = tally.tables["images"]
        shares = rows["same"] / rows["pixels"]
        return [{"image": key, "share": float(v)} for key, v in zip(tally.keys, shares)]
'''


def install(folder: Path, name: str, module: str, code: str, entries: str) -> None:
    """What an installed package leaves on the path."""
    folder.mkdir(exist_ok=True)
    (folder / f"{module}.py").write_text(code)
    about = folder / f"{module}-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(entries)


@pytest.fixture(autouse=True)
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Two packages, one with formats and one with a task; gone after the test."""
    folder = tmp_path / "site"
    formats = "[segeval.formats]\ncsv-labels = fake_tables:TABLES\n"
    formats += "segments = fake_tables:SEGMENTS\nobjects = fake_tables:OBJECTS\n"
    formats += "broken = fake_absent:X\nodd = fake_tables:NOT_A_FORMAT\n"
    install(folder, "fake-tables", "fake_tables", FORMAT, formats)
    tasks = "[segeval.tasks]\nagreement = fake_rule:Agreement\nother = fake_rule:Agreement\nodd = fake_rule:np\n"
    install(folder, "fake-rule", "fake_rule", RULE, tasks)
    monkeypatch.syspath_prepend(str(folder))
    before = set(sys.modules)
    yield folder
    for name in set(sys.modules) - before:
        if name.startswith("fake_"):
            del sys.modules[name]


def tables(folder: Path, count: int = 3) -> Path:
    folder.mkdir()
    place = np.arange(LABELS.size).reshape(LABELS.shape)
    for k in range(count):
        np.savetxt(folder / f"{k}.csv", np.where(place % (k + 2), LABELS, 1), "%d", ",")
    return folder


def labels(folder: Path, count: int = 3) -> Path:
    folder.mkdir()
    for k in range(count):
        (folder / f"{k}.png").write_bytes(GOOD)
    return folder


def test_our_own_names_ask_no_package(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: str) -> None:
        raise AssertionError("entry points were looked up")

    monkeypatch.setattr(plugins, "entry_points", fail)
    assert format_of("labels").task == "semantic"
    assert rule_of("panoptic").__name__ == "PanopticQuality"
    with pytest.raises(AssertionError):
        rule_of("agreement")


def test_a_format_of_a_package_on_either_side(capsys: Capsys, tmp_path: Path) -> None:
    csvs, pngs = tables(tmp_path / "csv"), labels(tmp_path / "png")
    as_png = convert(csvs, tmp_path / "converted", to="labels", source_form="csv-labels")
    assert as_png.images == 3
    wanted = score(as_png.path, pngs, task="semantic", classes=3)
    found = score(csvs, pngs, task="semantic", classes=3, pred_format="csv-labels")
    assert found.values == wanted.values
    assert found.signature == wanted.signature
    turned = score(pngs, csvs, task="semantic", gt_format="csv-labels")
    assert [row["name"] for row in turned.per_class] == ["road", "sky", "car"]
    ran = segeval(
        *(capsys, "score", "--task", "semantic", "--pred", csvs, "--gt", pngs, "--pred-format", "csv-labels"),
        *("--classes", "3", "--format", "json", "--quiet"),
    )
    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["values"]["mIoU"] == wanted["mIoU"]
    ran = segeval(capsys, "convert", csvs, "--from", "csv-labels", "--to", "semantic", "--out", tmp_path / "again")
    assert ran.code == 0, ran.err
    assert (tmp_path / "again" / "0.png").read_bytes() == (as_png.path / "0.png").read_bytes()


@pytest.mark.parametrize("task", ["panoptic", "instance"])
def test_formats_of_the_other_tasks(tmp_path: Path, task: str) -> None:
    """With a reader of ours under another name, the figures are ours, whichever side has it."""
    root = write_scenes(tmp_path / "scenes", 2, height=48, width=64)
    gt = root / "truth" / ("panoptic.json" if task == "panoptic" else "instance_ids")
    other = convert(root / "truth" / "panoptic.json", tmp_path / "other", to="panoptic", table={6: None, 8: 6})
    pred, form = other.path, "segments"
    if task == "instance":
        pred, form = convert(other.path, tmp_path / "ids", to="instance-ids").path, "objects"
    said: dict[str, Any] = {"task": task, "classes": root / "truth" / "classes.json"}
    wanted = score(pred, gt, **said)
    for forms in ({"gt_format": form}, {"pred_format": form}, {"gt_format": form, "pred_format": form}):
        found = score(pred, gt, **said, **forms)
        assert json.loads(found.to_json())["values"] == json.loads(wanted.to_json())["values"]
        assert found.signature == wanted.signature
    assert 0 < wanted["PQ" if task == "panoptic" else "AP"] < 1


def test_a_task_of_a_package(capsys: Capsys, tmp_path: Path) -> None:
    csvs, pngs = tables(tmp_path / "csv"), labels(tmp_path / "png")
    words = ["--pred", csvs, "--gt", pngs, "--pred-format", "csv-labels", "--quiet"]
    run = tmp_path / "run"
    ran = segeval(capsys, "score", "--task", "agreement", *words, "--least", "80", "--out", run, "--format", "json")
    assert ran.code == 0, ran.err
    data = json.loads(ran.out)
    assert data["task"] == "agreement"
    assert data["signature"].startswith("agreement|least:80|")
    shares = [float((np.loadtxt(csvs / f"{k}.csv", delimiter=",") == LABELS).mean()) for k in range(3)]
    assert data["values"] == {"share": sum(share >= 0.8 for share in shares) / 3}
    assert 0 < data["values"]["share"] < 1
    assert load_run(run)["share"] == data["values"]["share"]
    for form in ("text", "markdown", "csv", "latex"):
        assert segeval(capsys, "show", run, "--format", form).code == 0
    csv = tmp_path / "images.csv"
    ran = segeval(capsys, "score", "--task=agreement", *words, "--per-image", csv, "--workers", "2")
    assert ran.code == 0, ran.err
    assert csv.read_text().splitlines()[0] == "image,share"
    assert segeval(capsys, "check", "--task", "agreement", *words).code == 0
    assert segeval(capsys, "score", "--task", "agreement", "--help").out.count("--least N") == 2


def test_what_a_task_of_a_package_can_not(capsys: Capsys, tmp_path: Path) -> None:
    words = ["--pred", tables(tmp_path / "csv"), "--gt", labels(tmp_path / "png"), "--pred-format", "csv-labels"]
    words = ["score", "--task", "agreement", *words, "--quiet"]
    misused(segeval(capsys, *words, "--void", "3"), "--void is no option of the agreement task")
    misused(segeval(capsys, *words, "--intervals"), "--intervals is no option of the agreement task")
    misused(segeval(capsys, *words, "--fail-if-worse", "x"), "--fail-if-worse is no option of the agreement task")
    misused(
        segeval(capsys, *words, "--gt-format", "coco-panoptic"), "'coco-panoptic' is no format of the semantic task"
    )
    runs = [tmp_path / "a", tmp_path / "b"]
    for run in runs:
        assert segeval(capsys, *words, "--out", run).code == 0
    refused(segeval(capsys, "compare", *runs), "the task 'agreement' can't be resampled; ")


def test_a_miss_suggests_the_nearest_name(capsys: Capsys, tmp_path: Path) -> None:
    words = folders(tmp_path, {"a.png": GOOD}, {"a.png": GOOD})
    for more, message in (
        (["--task", "semantics"], "'semantics' is no task; did you mean semantic?"),
        (["--task", "agreemnt"], "'agreemnt' is no task; did you mean agreement?"),
        (["--gt-format", "csv-label"], "'csv-label' is no format; did you mean csv-labels?"),
        (["--gt-format", "label"], "'label' is no format; did you mean labels?"),
        (["--gt-format", "???"], "'???' is no format; give one of labels, coco-panoptic, "),
        (["--gt-format", "broken"], "the format 'broken' of fake-tables 1.0 can't be loaded (ModuleNotFoundError: "),
        (["--gt-format", "odd"], "the plugin 'odd' is no Format that can be opened; upgrade or remove it"),
        (["--task", "odd"], "the plugin 'odd' is no rule of this task; upgrade or remove it"),
        (["--task", "other"], "the plugin 'other' is no rule of this task; upgrade or remove it"),
    ):
        misused(segeval(capsys, *words, *more), message)


def test_two_packages_of_one_name(site: Path) -> None:
    install(site, "fake-more", "fake_more", "", "[segeval.tasks]\nagreement = fake_more:X\n")
    import importlib

    importlib.invalidate_caches()
    with pytest.raises(SegevalError, match=r"fake-more 1\.0 and fake-rule 1\.0 both bring the task 'agreement'"):
        rule_of("agreement")
