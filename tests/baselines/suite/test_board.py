"""What a suite leaves to read: tables whose letters and spreads are right, a page, a strip of pictures."""

from __future__ import annotations

import csv
import io
import statistics
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from segeval_baselines.prediction.references import REFERENCES
from segeval_baselines.suite import board, measuring
from segeval_baselines.suite.form import Suite
from segeval_baselines.suite.members import folder_of
from segeval_baselines.suite.standing import Standing, rows_of, standings

from segeval.comparison.comparing import compare
from segeval.errors import SegevalError
from segeval.report.charts import points
from segeval.report.pictures.strips import draw, make_strip, spread_keys
from segeval.statistics.resampling import Interval
from tests.baselines.suite.toy_suite import TEXT, read, run_all, table, write_suite


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Suite, Path]:
    """A suite that has run."""
    folder = tmp_path_factory.mktemp("board")
    suite = read(write_suite(folder, TEXT.replace("a smaller step", "a <b>smaller</b> step & so")))
    torch.set_num_threads(1)  # as in every test
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        run_all(suite, folder / "out")
    return suite, folder / "out"


@pytest.fixture(scope="module")
def standing(ran: tuple[Suite, Path]) -> Standing:
    """Its only table."""
    (only,) = standings(rows_of(*ran))
    return only


def test_rows_are_ranked_by_the_mean_over_seeds(standing: Standing) -> None:
    means = [row.mean("mIoU") for row in standing.rows]
    assert means == sorted(means, reverse=True)
    unet = next(row for row in standing.rows if row.member.name == "unet")
    values = [result.values["mIoU"] for result in unet.results.values()]
    assert len(values) == 2
    assert unet.mean("mIoU") == statistics.fmean(values)
    assert unet.spread("mIoU") == pytest.approx(np.std(values, ddof=1))
    reference = next(row for row in standing.rows if row.member.name == "mode")
    assert np.isnan(reference.spread("mIoU"))


def test_letters_say_what_compare_says_of_the_first_seed(standing: Standing) -> None:
    firsts = {row.member.name: row.results[0] for row in standing.rows}
    names = list(firsts)
    found = compare(firsts, interval=Interval.for_pairs(15))
    for d in found.differences:
        if d.metric == "mIoU":
            shared = set(standing.letters[names[d.first]]) & set(standing.letters[names[d.second]])
            assert bool(shared) != d.significant
    low, high = standing.intervals["unet"]["mIoU"]
    assert low <= firsts["unet"].values["mIoU"] <= high


def test_the_exact_table_has_a_line_for_each_seed(ran: tuple[Suite, Path], standing: Standing) -> None:
    rows = list(csv.DictReader(io.StringIO((ran[1] / "leaderboard.csv").read_text())))
    assert [(r["system"], r["seed"]) for r in rows if r["model"] == "unet"] == [("unet", "0"), ("unet", "1")]
    for row in rows:
        result = next(r for r in standing.rows if r.member.name == row["system"]).results[int(row["seed"])]
        assert float(row["mIoU"]) == result.values["mIoU"]
        assert row["signature"] == result.signature.format()
    networks = [r for r in rows if r["preset"]]
    assert all(int(r["parameters"]) > 0 and float(r["gflops"]) > 0 and float(r["latency"]) > 0 for r in networks)
    assert all(r["parameters"] == "" for r in rows if not r["preset"])


def test_costs_are_measured_once(ran: tuple[Suite, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    suite, root = ran
    member = suite.member("unet")
    first = measuring.measured(suite, member, root)
    assert first is not None
    assert first.size == (48, 64)
    assert first.memory * 2**20 > 4 * first.parameters

    def never(_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(measuring, "take", never)
    assert measuring.measured(suite, member, root) == first
    assert measuring.measured(suite, suite.member("mode"), root) is None
    monkeypatch.undo()
    (folder_of(root, member) / measuring.NAME).write_text("{")
    again = measuring.measured(suite, member, root)
    assert again is not None
    assert (again.parameters, again.gflops) == (first.parameters, first.gflops)


def test_the_page_holds_everything_and_escapes_names(ran: tuple[Suite, Path]) -> None:
    page = (ran[1] / "leaderboard.html").read_text()
    assert "a &lt;b&gt;smaller&lt;/b&gt; step &amp; so" in page
    assert "<b>smaller" not in page
    for word in ("colour-position", "unet", "mIoU|classes:3#", "prediction of test0 by unet", "PSPNet", "CVPR 2017"):
        assert word in page
    assert "http" not in page.replace("http-equiv", "")
    markdown = (ran[1] / "leaderboard.md").read_text()
    assert "| pspnet † |" in markdown
    assert REFERENCES["colour"].about in markdown
    assert board.PUBLISHED in markdown
    assert "(strip-semantic-toy.png)" in markdown


def test_published_numbers_are_in_no_table_of_ours(ran: tuple[Suite, Path]) -> None:
    text = (ran[1] / "leaderboard.md").read_text()
    ours, published = text.split("**published results**")
    assert "92.0" in published
    assert "92.0" not in ours


def test_the_strip_shows_the_same_images(ran: tuple[Suite, Path], standing: Standing) -> None:
    images = next((ran[1] / "data").iterdir()) / "images"
    strip = make_strip({row.member.name: row.first for row in standing.rows[:3]}, images, count=3, side=64)
    assert [row.name for row in strip.rows] == ["test0", "test1", "test2"]
    assert all(len(row.predictions) == 3 and row.photo is not None for row in strip.rows)
    # The first run knows the colours' classes exactly: its prediction is the truth where that is labelled.
    first = strip.rows[0]
    assert first.predictions[0] is not None
    labelled = first.truth[..., 3] > 0
    assert np.array_equal(first.predictions[0][labelled], first.truth[labelled])
    with Image.open(io.BytesIO(draw(strip, 100))) as sheet:
        assert sheet.size == (5 * 106 + 6, 24 + 3 * (75 + 6))
    assert spread_keys([1, 2, 3, 4, 5, 6, 7], 3) == [1, 3, 5]
    with pytest.raises(SegevalError, match="no run"):
        make_strip({})


def test_without_jinja_there_is_no_page_but_every_table(
    ran: tuple[Suite, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent() -> None:
        raise SegevalError("an HTML report needs jinja2")

    suite, root = ran
    before = table(root)
    (root / "leaderboard.html").unlink()
    monkeypatch.setattr(board, "require_jinja", absent)
    board.write_board(suite, root)
    assert not (root / "leaderboard.html").exists()
    assert table(root) == before
    monkeypatch.undo()
    board.write_board(suite, root)


def test_dots_keep_their_order_and_labels_apart() -> None:
    chart = points([10.0, 11.0, 1000.0], [0.5, 0.5, 0.9], ["one", "two", "three"], ("ms", "mIoU"), "t")
    xs = [float(line.path[1:].split()[0]) for line in chart.lines]
    assert xs == sorted(xs)
    assert chart.left < xs[0]
    assert xs[-1] < chart.width
    heights = {name: y for _, y, name, _ in chart.texts}
    assert abs(heights["one"] - heights["two"]) >= 13
    assert heights["three"] < heights["one"]
    assert len(chart.x_ticks) >= 3
