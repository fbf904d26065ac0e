"""A metric of another package, whose figure is a distance: all of the product treats it as it says it is read."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segeval import Accumulator, compare, load_run, rank_runs, score
from segeval.comparison.comparison_tables import render
from tests.cli.commands import segeval
from tests.cli.refusals import Capsys, misused, refused
from tests.test_plugins import install

RULE = '''
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from segeval.evidence.rows import Rows, image_digest
from segeval.evidence.tally import Tally, in_order
from segeval.metrics.means import ratio
from segeval.metrics.metric import Metric
from segeval.metrics.options import rule_to_dict
from segeval.options import option
from segeval.metrics.reweighting import Figures, ReweightedCounts
from segeval.results.figures import distance
from segeval.results.result import Result
from segeval.results.signature import Signature
from segeval.results.tables import Table
from segeval.samples.labels import as_labels, crc_of
from segeval.samples.taxonomy import Taxonomy

UNIT = 1000


@dataclass(frozen=True)
class Offset(Metric):
    """How far the centre of the object is from where it was predicted, averaged over images that have both."""

    task: ClassVar[str] = "offset"
    headline: ClassVar[str] = "offset"
    reads: ClassVar[str] = "semantic"
    title: ClassVar[str] = "Centre offset"
    class_figures: ClassVar[tuple[str, ...]] = ("offset", "found")
    figures: ClassVar = {"offset": distance("mean distance of the centres")}
    diagnoses: ClassVar = {Table: lambda result: Table(("side", "empty"), (("prediction", "1"),))}

    taxonomy: Taxonomy | None = option(None, "classes", flag="-")
    label: int = option(1, "the object's label", metavar="N", parse=int)

    def observe(self, pairs):
        keys, digests, offsets, defined = [], [], [], []
        for pair in pairs:
            sides = [as_labels(side, name, key=pair.key) for side, name in
                     ((pair.truth, "truth"), (pair.prediction, "prediction"))]
            there = all((side == self.label).any() for side in sides)
            centres = [np.argwhere(side == self.label).mean(0) for side in sides] if there else []
            keys.append(pair.key)
            digests.append(image_digest(pair.key, *sides[0].shape, crc_of(sides[0])))
            offsets.append(round(UNIT * float(np.linalg.norm(centres[0] - centres[1]))) if there else 0)
            defined.append(int(there))
        rows = Rows(np.arange(len(keys), dtype=np.int32), {},
                    {"offset": np.array(offsets, np.int64), "defined": np.array(defined, np.int64)})
        rule = Signature.of("offset", [("label", self.label)]).format()
        return in_order(Tally("offset", rule, tuple(keys), np.array(digests, np.uint64), {"images": rows}))

    def _mean(self, sums):
        return ratio(sums[..., 0], UNIT * sums[..., 1])

    def _sums(self, tally):
        rows = tally.tables["images"]
        return np.stack([rows["offset"], rows["defined"]], -1)

    def score(self, tally):
        value = float(self._mean(self._sums(tally).sum(0)))
        found = int(self._sums(tally)[:, 1].sum())
        return Result("offset", self.signature(tally), len(tally), {"offset": value},
                      ({"id": self.label, "name": "object", "offset": value, "found": found},),
                      rule=rule_to_dict(self), tally=tally)

    def signature(self, tally):
        return Signature.of("offset", [("label", self.label), ("truth", tally.digest[:8])])

    def per_image(self, tally):
        rows = [{"image": k, "offset": float(self._mean(s))} for k, s in zip(tally.keys, self._sums(tally))]
        return sorted(rows, key=lambda row: (row["offset"] != row["offset"], -row["offset"]))

    def reweighted(self, tally):
        rows = self._sums(tally).astype(np.float64)

        def formulas(sums):
            value = self._mean(sums)[..., None]
            return Figures(value, value[..., None])

        names, ids = ("offset",), (self.label,)
        return ReweightedCounts(tally.keys, names, names, ids, ("object",), rows[:, 1:] > 0, rows, formulas)
'''


@pytest.fixture(autouse=True)
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A package with the metric; gone after the test."""
    folder = tmp_path / "site"
    install(folder, "fake-offset", "fake_offset", RULE, "[segeval.tasks]\noffset = fake_offset:Offset\n")
    monkeypatch.syspath_prepend(str(folder))
    yield
    sys.modules.pop("fake_offset", None)


def boxes(folder: Path, shift: float, empty: tuple[int, ...] = ()) -> Path:
    """Twelve images of one square, moved to the right by up to `shift` pixels."""
    folder.mkdir(parents=True)
    for k in range(12):
        labels = np.zeros((24, 40), np.uint8)
        left = 4 + round(shift * (0.5 + (k % 4) / 6))
        labels[6 + k % 3 : 14 + k % 3, left : left + 8] = 1
        Image.fromarray(labels * (k not in empty)).save(folder / f"{k:02d}.png")
    return folder


@pytest.fixture
def sides(tmp_path: Path) -> dict[str, Path]:
    return {
        "gt": boxes(tmp_path / "gt", 0),
        "near": boxes(tmp_path / "near", 4, empty=(3,)),
        "far": boxes(tmp_path / "far", 12),
    }


@pytest.fixture
def runs(sides: dict[str, Path], tmp_path: Path) -> dict[str, Path]:
    saved = {}
    for name in ("near", "far"):
        score(sides[name], sides["gt"], task="offset").save(tmp_path / "runs" / name)
        saved[name] = tmp_path / "runs" / name
    return saved


def test_an_unbounded_figure_has_intervals_and_its_unit(capsys: Capsys, sides: dict[str, Path]) -> None:
    words = ["--task", "offset", "--pred", sides["far"], "--gt", sides["gt"], "--intervals", "--resamples", "200"]
    ran = segeval(capsys, "score", *words, "--format", "json", "--quiet")
    assert ran.code == 0, ran.err
    data = json.loads(ran.out)
    low, high = data["intervals"]["offset"]
    assert 1 < low < data["values"]["offset"] < high < 12
    ran = segeval(capsys, "score", *words, "--quiet")
    assert f"{data['values']['offset']:.2f}" in ran.out  # pixels, not per cent


def test_the_smaller_distance_is_better(capsys: Capsys, runs: dict[str, Path]) -> None:
    loaded = {name: load_run(path) for name, path in runs.items()}
    found = compare(loaded)
    assert [s.better_than for s in found.systems] == [("b",), ()]
    assert found.differences[0].value > 0  # far - near
    record = found.records[0]
    assert (record.wins, record.losses, record.undefined) == (0, 11, 1)
    assert found.changes[0].change > 0  # no gains: the losses, largest first
    assert "Δ" in render(found)
    ran = segeval(capsys, "compare", *runs.values(), "--quiet")
    assert ran.code == 0, ran.err
    assert "nearᵇ" in ran.out.replace(" ", "") or "ᵇ" in ran.out.splitlines()[1]
    board = rank_runs(loaded)[0]
    assert [e.name for e in board.entries] == ["near", "far"]
    assert [e.letters for e in board.entries] == ["a", "b"]
    ran = segeval(capsys, "leaderboard", *runs.values(), "--quiet")
    assert [line.split()[1] for line in ran.out.splitlines() if line[:1].isdigit()] == ["near", "far"]


def test_gates_turn_the_right_way(capsys: Capsys, sides: dict[str, Path], runs: dict[str, Path]) -> None:
    words = ["score", "--task", "offset", "--pred", sides["far"], "--gt", sides["gt"], "--quiet"]
    misused(segeval(capsys, *words, "--fail-under", "offset=3"), "give --fail-over offset=3")
    misused(segeval(capsys, *words, "--fail-over", "offset=-1"), "'offset=-1' is not NAME=X of 0 or more")
    assert segeval(capsys, *words, "--fail-over", "offset=100").code == 0
    ran = segeval(capsys, *words, "--fail-over", "offset=3")
    assert ran.code == 3
    assert "over 3" in ran.err
    ran = segeval(capsys, *words, "--fail-if-worse", runs["near"])
    assert ran.code == 3
    assert "above" in ran.err
    near = ["score", "--task", "offset", "--pred", sides["near"], "--gt", sides["gt"], "--quiet"]
    assert segeval(capsys, *near, "--fail-if-worse", runs["far"]).code == 0
    semantic = ["score", "--task", "semantic", "--pred", sides["far"], "--gt", sides["gt"], "--quiet"]
    misused(segeval(capsys, *semantic, "--fail-over", "mIoU=0.5"), "give --fail-under mIoU=0.5")
    misused(segeval(capsys, *semantic, "--fail-under", "mIoU=5"), "'mIoU=5' is not NAME=FRACTION, such as mIoU=0.60")


def test_empty_masks_are_undefined(capsys: Capsys, tmp_path: Path, sides: dict[str, Path]) -> None:
    nothing = boxes(tmp_path / "nothing", 0, empty=tuple(range(12)))
    words = ["score", "--task", "offset", "--pred", nothing, "--gt", sides["gt"], "--quiet"]
    ran = segeval(capsys, *words, "--format", "json", "--fail-over", "offset=3")
    assert ran.code == 3
    assert "offset is undefined" in ran.err
    assert json.loads(ran.out)["values"] == {"offset": None}
    table = tmp_path / "images.csv"
    words[3:5] = ["--pred", sides["near"]]
    assert segeval(capsys, *words, "--per-image", table).code == 0
    rows = list(csv.DictReader(table.open()))
    values = [float(r["offset"]) for r in rows if r["offset"]]
    assert values == sorted(values, reverse=True)  # worst first
    assert rows[-1]["image"] == "03"
    assert rows[-1]["offset"] == ""


def test_a_report_of_a_distance(capsys: Capsys, tmp_path: Path, runs: dict[str, Path], sides: dict[str, Path]) -> None:
    page = tmp_path / "report.html"
    ran = segeval(capsys, "compare", *runs.values(), "--out", page, "--quiet")
    assert ran.code == 0, ran.err
    text = page.read_text()
    assert "Centre offset" in text
    assert "near is significantly better than far" in text
    assert "Below the line far is better" in text
    assert "Of offset, in px." in text
    assert "Better with" not in text  # far is better nowhere
    one = tmp_path / "one.html"
    words = ["score", "--task", "offset", "--pred", sides["near"], "--gt", sides["gt"], "--quiet"]
    assert segeval(capsys, *words, "--report", one).code == 0
    assert "Worst images" in one.read_text()


def test_slices_accumulator_and_check(capsys: Capsys, tmp_path: Path, sides: dict[str, Path]) -> None:
    groups = tmp_path / "slices.csv"
    groups.write_text("image,side\n" + "".join(f"{k:02d},{'even' if k % 2 == 0 else 'odd'}\n" for k in range(12)))
    words = ["--task", "offset", "--pred", sides["far"], "--gt", sides["gt"], "--quiet"]
    ran = segeval(capsys, "score", *words, "--slices", groups)
    assert ran.code == 0, ran.err
    assert "gap" in ran.out
    assert segeval(capsys, "check", *words).code == 0
    seen = Accumulator("offset")
    for path in sorted(sides["gt"].iterdir()):
        truth, prediction = (np.array(Image.open(p)) for p in (path, sides["far"] / path.name))
        seen.update(prediction=prediction, truth=truth, key=path.stem)
    assert seen.compute().values == score(sides["far"], sides["gt"], task="offset").values
    refused(segeval(capsys, "score", *words, "--label", "1", "--slices", tmp_path / "absent.csv"), "absent.csv")
