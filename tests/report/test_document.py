"""The page as a text: whole, small, escaped, and honest about what it lacks."""

from __future__ import annotations

import html.parser
import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from segeval.comparison.comparing import compare
from segeval.comparison.slices import slice_result
from segeval.errors import SegevalError
from segeval.metrics.semantic.rule import SemanticIoU
from segeval.report import document, write_report
from segeval.report.pictures import gallery
from segeval.results.result import Result
from segeval.samples.pairs import Pair
from segeval.samples.taxonomy import Taxonomy
from segeval.statistics.attributes import read_attributes
from segeval.statistics.intervals import with_intervals
from segeval.statistics.resampling import Interval
from tests.given.demo_runs import demo_folder, demo_pair, demo_run

TASKS = ("semantic", "panoptic", "instance")
FEW = Interval(resamples=40)
VOID_TAGS = {"meta", "link", "img", "input", "br"}


class Outline(html.parser.HTMLParser):
    """Collects tags and checks that they nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID_TAGS:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("script", "style"):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def ids(self) -> list[str]:
        return [str(about["id"]) for _, about in self.seen if "id" in about]


def page(results, tmp_path, **options) -> Outline:
    return Outline(write_report(results, tmp_path / "report.html", **options).read_text("utf-8"))


ROAD_TREE = Taxonomy.of_names(("road", "tree"))


def tiny(name="a", keys=("x", "y"), classes=ROAD_TREE) -> Result:
    rng = np.random.default_rng(len(name))
    rule = SemanticIoU(classes)
    pairs = [
        Pair(k, rng.integers(0, 2, (6, 6)).astype(np.uint8), rng.integers(0, 2, (6, 6)).astype(np.uint8)) for k in keys
    ]
    return rule.score(rule.observe(pairs))


@pytest.mark.parametrize("task", TASKS)
def test_a_run_has_all_its_sections(task, tmp_path):
    result = with_intervals(demo_run(task), FEW)
    outline = page(result, tmp_path, images=demo_folder() / "images")
    wanted = {"scores", "classes", "images", "gallery", "reproduce", "errors"}
    wanted |= {"curves"} if task == "instance" else {"confusions"}
    assert wanted <= set(outline.ids())
    assert len(outline.ids()) == len(set(outline.ids()))
    assert result.signature.format() in outline.text
    assert result.interval_signature is not None
    assert result.interval_signature.format() in outline.text
    for row in result.per_class:
        assert str(row["name"]) in outline.text
    anchors = [str(about["href"])[1:] for tag, about in outline.seen if tag == "a"]
    assert set(anchors) <= set(outline.ids())


@pytest.mark.parametrize("task", TASKS)
def test_a_comparison_names_its_systems_and_says_which_is_better(task, tmp_path):
    found = compare(demo_pair(task), interval=FEW)
    outline = page([], tmp_path, comparison=found)
    for system in found.systems:
        assert system.name in outline.text
        assert system.result.signature.format() in outline.text
    difference = next(d for d in found.differences if d.metric == found.metric)
    assert ("is significantly better than" in outline.text) == difference.significant
    assert ("not significantly different" in outline.text) != difference.significant
    assert found.interval_signature.format() in outline.text
    swapped = difference.p_randomization == difference.p_randomization
    assert ("that of the paired randomization test" in outline.text) == swapped
    assert ("that of the paired bootstrap" in outline.text) != swapped


@pytest.mark.parametrize("task", TASKS)
def test_a_plain_run_has_a_report_too(task, tmp_path):
    outline = page(demo_run(task, diagnose=False), tmp_path)
    assert "scores" in outline.ids()


def test_runs_without_a_comparison_stand_side_by_side(tmp_path):
    outline = page([demo_run("semantic"), demo_run("semantic")], tmp_path, names=["first", "second"])
    assert "first" in outline.text
    assert "second" in outline.text
    assert "significant" not in outline.text


def test_nothing_is_fetched_and_one_script_may_run(tmp_path):
    path = write_report(demo_run("semantic"), tmp_path / "r.html", images=demo_folder() / "images")
    text = path.read_text("utf-8")
    outline = Outline(text)
    for tag, about in outline.seen:
        for name in ("src", "href", "action", "data", "poster", "srcset"):
            value = about.get(name)
            assert value is None or value.startswith(("data:", "#")), (tag, name, value)
    assert not re.search(r"url\((?!data:|var)", text)
    assert [tag for tag, _ in outline.seen].count("script") == 1
    policy = next(a["content"] for t, a in outline.seen if t == "meta" and a.get("http-equiv"))
    assert "default-src 'none'" in str(policy)
    assert "script-src 'sha256-" in str(policy)


HOSTILE = "<script>alert(1)</script>"
QUOTES = "\"><img src=x onerror=alert(1)> '{{7*7}}' </style></script>"


def test_hostile_names_are_text(tmp_path):
    result = tiny(keys=(HOSTILE, QUOTES), classes=Taxonomy.of_names((HOSTILE, QUOTES)))
    result = result.with_(provenance={"pred": f"/{QUOTES}", "gt": f"/{HOSTILE}", "command": f"segeval {QUOTES}"})
    other = result.with_(provenance={"pred": "/b", "gt": "/b"})
    found = compare({HOSTILE: result, QUOTES: other}, interval=FEW)
    for outline in (page(result, tmp_path, title=HOSTILE), page([], tmp_path, comparison=found)):
        tags = [tag for tag, _ in outline.seen]
        assert tags.count("script") == 1
        assert not any("onerror" in about for _, about in outline.seen)
        assert not any(tag == "img" and about.get("src") == "x" for tag, about in outline.seen)
        assert HOSTILE in outline.text
        assert "{{7*7}}" in outline.text
        assert "49" not in outline.text.split("{{7*7}}")[0][-3:]


def test_the_page_is_the_same_twice(tmp_path):
    result = demo_run("panoptic")
    first = write_report(result, tmp_path / "a.html").read_bytes()
    assert write_report(result, tmp_path / "b.html").read_bytes() == first


def test_a_loaded_run_gives_the_same_page(tmp_path):
    for task in TASKS:
        result = with_intervals(demo_run(task), FEW)
        result.save(tmp_path / task)
        first = write_report(result, tmp_path / "a.html").read_text("utf-8")
        assert write_report(Result.load(tmp_path / task), tmp_path / "b.html").read_text("utf-8") == first


def test_slices_are_shown_with_their_gap(tmp_path):
    result = demo_run("semantic")
    assert result.tally is not None
    rows = ["image,light", *(f"{key},{'night' if i % 2 else 'day'}" for i, key in enumerate(result.tally.keys))]
    (tmp_path / "s.csv").write_text("\n".join(rows))
    found = slice_result(result, read_attributes(tmp_path / "s.csv"))
    outline = page(result, tmp_path, slices=[found])
    assert "slices" in outline.ids()
    assert "night" in outline.text
    assert " above " in outline.text


def test_it_says_when_files_are_gone(tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(demo_folder(), copy)
    from segeval.scoring.evaluation import score

    model = next(p.name for p in copy.iterdir() if (p / "semantic").is_dir() and p.name != "truth")
    classes = copy / "truth" / "classes.json"
    result = score(copy / model / "semantic", copy / "truth" / "semantic", task="semantic", classes=classes)
    assert result.tally is not None
    systems = document.named_systems([result])
    key = gallery.choose(systems, None, gallery.figures_of(systems, None))[0].key
    (copy / model / "semantic" / f"{key}.png").unlink()
    outline = page(result, tmp_path)
    assert "Not shown" in outline.text
    truth = copy / "truth" / "semantic"
    shutil.rmtree(copy / model)
    assert "No pictures of semantic" in page(result, tmp_path).text
    assert truth.is_dir()


def test_it_says_when_the_truth_has_changed(tmp_path):
    from PIL import Image

    copy = tmp_path / "copy"
    shutil.copytree(demo_folder(), copy)
    from segeval.scoring.evaluation import score

    model = next(p.name for p in copy.iterdir() if (p / "semantic").is_dir() and p.name != "truth")
    classes = copy / "truth" / "classes.json"
    result = score(copy / model / "semantic", copy / "truth" / "semantic", task="semantic", classes=classes)
    for path in (copy / "truth" / "semantic").glob("*.png"):
        labels = np.array(Image.open(path))
        labels[0, 0] = (int(labels[0, 0]) + 1) % 3
        Image.fromarray(labels).save(path)
    assert "truth has changed since it was scored" in page(result, tmp_path).text


def test_results_made_in_memory_have_no_pictures_and_say_so(tmp_path):
    assert "does not say where its files are" in page(tiny(), tmp_path).text


def test_a_folded_run_has_no_gallery(tmp_path):
    result = demo_run("semantic")
    assert result.tally is not None
    folded = SemanticIoU(taxonomy=Taxonomy.from_dict(dict(result.rule)["taxonomy"]), diagnose=True)
    page(folded.score(result.tally.collapse()), tmp_path)


def test_undefined_figures_are_dashes(tmp_path):
    taxonomy = Taxonomy.of_names(("road", "tree", "never"))
    result = tiny(classes=taxonomy)
    text = page(result, tmp_path).text
    assert "nan" not in text.lower().replace("nano", "")
    assert "–" in text
    nothing = SemanticIoU(taxonomy)
    void = np.full((4, 4), 255, np.uint8)
    empty = nothing.score(nothing.observe([Pair("a", void, void)]))
    assert "nan" not in page(empty, tmp_path).text.lower()


def test_pictures_stop_at_the_budget(tmp_path, monkeypatch):
    monkeypatch.setattr(document, "PAGE_BYTES", 90_000)
    path = write_report(demo_run("panoptic"), tmp_path / "r.html")
    assert "left out to keep this page small" in path.read_text("utf-8")


def test_bad_calls_are_refused_in_one_line(tmp_path):
    semantic, panoptic = demo_run("semantic"), demo_run("panoptic")
    cases = [
        (([],), {}, "no run"),
        (([semantic, panoptic],), {}, "different tasks"),
        ((semantic,), {"names": ["a", "b"]}, "2 names for 1 runs"),
        ((semantic,), {"slices": []}, "0 tables of slices"),
        ((semantic,), {"images": tmp_path / "none"}, "no such folder"),
        ((semantic,), {"images": tmp_path}, "no photographs"),
    ]
    for args, options, words in cases:
        with pytest.raises(SegevalError, match=words):
            write_report(args[0], tmp_path / "r.html", **options)
    assert not list(tmp_path.iterdir())


def test_without_jinja_one_line_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(SegevalError, match=r'pip install "segeval\[report\]"'):
        write_report(tiny(), tmp_path / "r.html")
    assert not list(tmp_path.iterdir())


def test_a_thousand_images_stay_small(tmp_path):
    keys = tuple(f"image-{k:04}" for k in range(1000))
    results = {name: tiny(name, keys) for name in ("a", "bb")}
    rng = np.random.default_rng(0)
    truth = [rng.integers(0, 2, (6, 6)).astype(np.uint8) for _ in keys]
    rule = SemanticIoU(ROAD_TREE)
    for name in results:
        pairs = [Pair(k, t, rng.integers(0, 2, (6, 6)).astype(np.uint8)) for k, t in zip(keys, truth, strict=True)]
        results[name] = rule.score(rule.observe(pairs))
    found = compare(results, interval=FEW)
    path = write_report([], tmp_path / "r.html", comparison=found)
    assert path.stat().st_size < 150_000


def test_paths_give_short_names():
    paths = ("/x/a/pred", "/x/b/pred", "/x/c")
    results = [tiny().with_(provenance={"pred": p}) for p in paths]
    assert [s.name for s in document.named_systems(results)] == ["a/pred", "b/pred", "x/c"]
    assert [s.name for s in document.named_systems(results[:1])] == ["pred"]
    assert [s.name for s in document.named_systems([tiny(), tiny()])] == [" 1", " 2"]


def test_classes_of_one_colour_are_told_apart():
    taxonomy = Taxonomy((0, 1, 2, 3), ("a", "b", "c", "d"), None, ((9, 9, 9), (200, 0, 0), (9, 9, 9), (10, 9, 9)))
    from segeval.report.pictures.painting import NEAR, class_colours

    colours, replaced = class_colours(taxonomy)
    assert replaced == (2, 3)
    assert colours[:2] == taxonomy.colours[:2]
    flat = np.array(colours, float)
    apart = np.linalg.norm(flat[:, None] - flat[None], axis=-1)[np.triu_indices(4, 1)]
    assert apart.min() >= NEAR
    assert replace(taxonomy, colours=colours).colours == colours


def test_the_files_of_the_page_are_in_the_package():
    folder = Path(document.__file__).parent
    assert {p.name for p in folder.iterdir()} >= {"report.html.j2", "report.css", "report.js"}
