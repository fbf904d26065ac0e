"""The page in a real browser: quiet, sortable, reachable by keyboard, and deaf to hostile names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from segeval.comparison.comparing import compare
from segeval.metrics.semantic.rule import SemanticIoU
from segeval.readers.maps.png import read_png
from segeval.report import write_report
from segeval.samples.pairs import Pair
from segeval.samples.taxonomy import Taxonomy
from segeval.statistics.intervals import with_intervals
from segeval.statistics.resampling import Interval
from tests.browser.chromium import Page, browser, find_chromium
from tests.given.demo_runs import demo_folder, demo_pair, demo_run

pytestmark = pytest.mark.skipif(find_chromium() is None, reason="needs a browser (Debian: apt-get install chromium)")

FEW = Interval(resamples=40)
HOSTILE = "<script>document.title='broken'</script>.png"
IMAGE = '"><img src=x onerror="document.title=\'broken\'">'


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> dict[str, Path]:
    """A page of each task, and one about two systems."""
    folder = tmp_path_factory.mktemp("pages")
    images = demo_folder() / "images"
    made = {
        task: write_report(with_intervals(demo_run(task), FEW), folder / f"{task}.html", images=images)
        for task in ("semantic", "panoptic", "instance")
    }
    found = compare(demo_pair("panoptic"), interval=FEW)
    made["comparison"] = write_report([], folder / "c.html", comparison=found, images=images)
    return made


NAMES = ("semantic", "panoptic", "instance", "comparison")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("dark", [False, True])
def test_it_loads_quietly_and_fits_the_window(page, pages, name, width, dark):
    page.events.clear()
    page.show(width, 900, dark=dark)
    page.open(pages[name])
    assert page.run("document.documentElement.scrollWidth") == width
    assert page.run("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
    assert page.run("document.querySelectorAll('main img').length") > 0
    shade = page.run("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3).map(Number)")
    assert (max(shade) < 60) == dark
    assert page.complaints() == []


COLUMN = "[...document.querySelectorAll('#table-classes tbody tr')].map(r => r.cells[{0}].dataset.v)"


def values(page, column):
    return [float(v) for v in page.run(COLUMN.format(column)) if v != ""]


def test_tables_sort_by_click_and_by_keyboard(page, pages):
    page.open(pages["panoptic"])
    before = page.run(COLUMN.format(0))
    head = "document.querySelector('#table-classes thead').rows[0].cells[{0}]"
    page.run(head.format(2) + ".firstElementChild.click()")
    assert values(page, 2) == sorted(values(page, 2), reverse=True)
    assert page.run(head.format(2) + ".getAttribute('aria-sort')") == "descending"
    undefined = [v == "" for v in page.run(COLUMN.format(2))]
    assert undefined == sorted(undefined)
    page.run(head.format(2) + ".firstElementChild.focus()")
    page.press("Enter")
    assert values(page, 2) == sorted(values(page, 2))
    assert page.run(head.format(2) + ".getAttribute('aria-sort')") == "ascending"
    undefined = [v == "" for v in page.run(COLUMN.format(2))]
    assert undefined == sorted(undefined)
    page.run(head.format(0) + ".firstElementChild.click()")
    assert page.run(COLUMN.format(0)) == sorted(before)
    assert page.run(head.format(2) + ".getAttribute('aria-sort')") is None


OPEN = "document.getElementById('large').open"
SHOWN = "document.querySelector('#large p').textContent"


def test_a_picture_opens_large_and_closes(page, pages):
    page.show(1280, 900)
    page.open(pages["semantic"])
    small = page.run("document.querySelector('.panel .shot').getBoundingClientRect().width")
    page.run("document.querySelector('.panel .shot').click()")
    assert page.run(OPEN)
    assert page.run("document.querySelector('#large .shot').getBoundingClientRect().width") > 2 * small
    box = page.run(
        "(b => [b.left, b.top, b.right, b.bottom])(document.querySelector('#large .shot').getBoundingClientRect())"
    )
    assert box[0] >= 0
    assert box[1] >= 0
    assert box[2] <= 1280
    assert box[3] <= 900
    page.run("document.querySelector('#large .close').click()")
    assert not page.run(OPEN)


def test_the_keyboard_reaches_and_walks_the_pictures(page, pages):
    page.open(pages["comparison"])
    page.run("document.querySelector('.panel .shot').focus()")
    page.press("Enter")
    assert page.run(OPEN)
    first = page.run(SHOWN)
    page.press("ArrowRight")
    second = page.run(SHOWN)
    assert second != first
    page.press("ArrowLeft")
    assert page.run(SHOWN) == first
    page.press("ArrowRight")
    page.press("Escape")
    assert not page.run(OPEN)
    # The reader is back at the picture that was last shown; the browser tells of the closing a moment later.
    assert page.settles("document.activeElement.dataset.caption", second)


SEEN = "getComputedStyle(document.activeElement).outlineStyle !== 'none' || document.activeElement === document.body"


def test_every_control_is_reached_by_tab(page, pages):
    page.open(pages["semantic"])
    controls = page.run("document.querySelectorAll('a, main button, summary, input, [tabindex]').length")
    reached = set()
    for _ in range(controls + 3):
        page.press("Tab")
        reached.add(page.run("[...document.querySelectorAll('*')].indexOf(document.activeElement)"))
        # A focus that can't be seen is none.
        assert page.run(SEEN)
    assert len(reached - {-1}) >= controls


def test_the_slider_fades_the_labels(page, pages):
    page.open(pages["semantic"])
    opacity = "getComputedStyle(document.querySelector('.shot.over img')).opacity"
    assert page.run(opacity) == "0.55"
    page.run("(m => { m.value = 20; m.dispatchEvent(new Event('input')); })(document.getElementById('mix'))")
    assert page.run(opacity) == "0.2"


def test_hostile_names_do_nothing(page, tmp_path):
    rng = np.random.default_rng(0)
    taxonomy = Taxonomy.of_names((HOSTILE, IMAGE))
    rule = SemanticIoU(taxonomy)
    pairs = [Pair(k, *rng.integers(0, 2, (2, 8, 8)).astype(np.uint8)) for k in (HOSTILE, IMAGE)]
    result = rule.score(rule.observe(pairs)).with_(provenance={"pred": f"/{HOSTILE}", "gt": IMAGE, "command": IMAGE})
    found = compare({HOSTILE: result, IMAGE: result}, interval=FEW)
    page.events.clear()
    for k, path in enumerate((
        write_report(result, tmp_path / "a.html"),
        write_report([], tmp_path / "b.html", comparison=found, title=HOSTILE),
    )):  # fmt: skip
        page.open(path)
        assert page.run("document.title") != "broken", k
        assert page.run("document.scripts.length") == 1
        assert page.run("[...document.images].every(i => i.src.startsWith('data:'))")
        assert HOSTILE in page.run("document.body.innerText")
    assert page.complaints() == []


def test_an_injected_script_would_not_run(page, pages, tmp_path):
    """The page's policy is a second wall, behind escaping."""
    text = pages["semantic"].read_text("utf-8")
    (tmp_path / "broken.html").write_text(text.replace("<main>", "<main><script>document.title='broken'</script>", 1))
    page.open(tmp_path / "broken.html")
    assert page.run("document.title") != "broken"
    page.events.clear()


CLIPPED = (
    "[...document.querySelectorAll('.scroll')].filter("
    "e => e.scrollHeight > e.clientHeight + 1 && getComputedStyle(e).overflowY !== 'visible').length"
)


def test_it_prints_whole(page, pages):
    page.open(pages["panoptic"])
    page.call("Emulation.setEmulatedMedia", media="print", features=[])
    assert page.run(CLIPPED) == 0
    assert page.run("getComputedStyle(document.querySelector('nav')).display") == "none"
    page.call("Emulation.setEmulatedMedia", media="", features=[])


def test_screenshots_are_pictures(page, pages, tmp_path):
    page.show(390, 844)
    page.open(pages["instance"])
    page.picture(tmp_path / "phone.png", whole=False)
    pixels = read_png(tmp_path / "phone.png").pixels
    assert pixels.shape[:2] == (844, 390)
    assert len(np.unique(pixels.reshape(-1, pixels.shape[-1]), axis=0)) > 50
