"""Runs side by side: differences, tests, marks, refusals."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import replace

import numpy as np
import pytest

from segeval.comparison.comparing import Difference, beaten, compare, mark
from segeval.comparison.comparison_tables import FORMS, render
from segeval.comparison.runs import subset
from segeval.errors import SegevalError
from segeval.metrics.tasks import saved_rule
from segeval.results.figures import FRACTION
from segeval.results.signature import Signature
from segeval.results.tables import RAISED
from segeval.statistics.resampling import Interval
from tests.given.resampled_runs import TASKS, run_of

FAST = Interval(resamples=60)


def numbers(found) -> list[float]:
    return [found.value, found.low, found.high, found.p_bootstrap, found.p_randomization, found.p]


@pytest.mark.parametrize("task", TASKS)
def test_the_same_pixels_under_two_names_differ_in_nothing(task):
    run = run_of(task, 3, 12)
    found = compare({"one": run, "two": run}, interval=FAST)
    for d in found.differences:
        if math.isnan(run[d.metric]):
            assert all(map(math.isnan, numbers(d)))
            continue
        assert (d.value, d.low, d.high) == (0, 0, 0)
        assert d.p_bootstrap == d.p == 1
        assert d.p_randomization == 1 or task == "instance"
        assert not d.significant
    (record,) = found.records
    assert (record.wins, record.losses, found.changes) == (0, 0, ())
    assert record.ties + record.undefined == 12
    assert [s.better_than for s in found.systems] == [(), ()]


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("method", ["scaled", "percentile", "bca"])
def test_no_number_depends_on_the_order_of_runs(task, method):
    runs = {name: run_of(task, seed, 10) for name, seed in (("b", 1), ("a", 2), ("c", 3))}
    interval = Interval(method, resamples=60)
    first = compare(runs, interval=interval)
    names = list(runs)
    for order in itertools.permutations(names):
        again = compare({name: runs[name] for name in order}, interval=interval)
        for d in again.differences:
            (mine,) = [
                e
                for e in first.differences
                if e.metric == d.metric and {names[e.first], names[e.second]} == {order[d.first], order[d.second]}
            ]
            turned = names[mine.first] != order[d.first]
            value, low, high = (0 - mine.value, 0 - mine.high, 0 - mine.low) if turned else numbers(mine)[:3]
            assert np.array_equal(numbers(d), [value, low, high, *numbers(mine)[3:]], equal_nan=True)
        for system in again.systems:
            (mine,) = [s for s in first.systems if s.name == system.name]
            ends = [list(s.result.intervals.values()) for s in (mine, system)]
            assert np.array_equal(*ends, equal_nan=True)


@pytest.mark.parametrize("task", TASKS)
def test_differences_are_those_of_the_scores(task):
    a, b = run_of(task, 1, 10), run_of(task, 2, 10)
    found = compare({"a": a, "b": b}, interval=FAST)
    for d in found.differences:
        assert d.value == b[d.metric] - a[d.metric] or math.isnan(d.value)
        assert not d.low > d.high
    figure = found.classes[0].figure
    for d, x, y in zip(found.classes, a.per_class, b.per_class, strict=True):
        assert (d.id, d.name) == (x["id"], x["name"])
        assert np.array_equal([d.first_value, d.second_value], [x[figure], y[figure]], equal_nan=True)
    rows = [{r["image"]: r[found.image_figure] for r in r.metric.per_image(r.tally)} for r in (a, b)]
    change = {key: rows[1][key] - rows[0][key] for key in rows[0]}
    (record,) = found.records
    assert record.wins == sum(c > 0 for c in change.values())
    assert record.losses == sum(c < 0 for c in change.values())
    assert record.undefined == sum(math.isnan(c) for c in change.values())
    gains = [c.change for c in found.changes if c.change > 0]
    assert gains == sorted((c for c in change.values() if c > 0), reverse=True)[:10]
    assert all(change[c.image] == c.change for c in found.changes)


def _better(run, share):
    """The run with some of its wrong pixels moved to the right class."""
    rows = run.tally.tables["pixels"]
    wrong = (rows["truth"] != rows["prediction"]) & (rows["truth"] >= 0)
    pixels = rows["pixels"].copy()
    pixels[wrong] = (pixels[wrong] * (1 - share)).astype(np.int64)
    tables = {"pixels": replace(rows, counts={"pixels": pixels})}
    return run.metric.score(replace(run.tally, tables=tables))


def test_a_better_system_is_marked():
    run = run_of("semantic", 1, 60)
    found = compare({"plain": run, "better": _better(run, 0.5), "best": _better(run, 0.9)}, interval=Interval())
    assert [s.better_than for s in found.systems] == [(), ("a",), ("a", "b")]
    deciding = [d for d in found.differences if d.metric == "mIoU"]
    assert all(d.low > 0 and d.significant and d.p == pytest.approx(3 / 1001) for d in deciding)
    text = render(found)
    assert text.splitlines()[3].startswith("c  best")
    assert "ᵃᵇ" in text.splitlines()[3]
    assert "Holm-corrected over 3 pairs" in text


def test_ap_goes_by_the_bootstrap():
    found = compare({"a": run_of("instance", 1, 10), "b": run_of("instance", 2, 10)}, interval=FAST)
    assert all(math.isnan(d.p_randomization) for d in found.differences)
    assert [d.p for d in found.differences] == pytest.approx([d.p_bootstrap for d in found.differences], nan_ok=True)
    assert "p: paired bootstrap" in render(found)


def test_runs_of_other_conventions_are_refused_by_key():
    a = run_of("semantic", 1, 6)
    b = run_of("semantic", 2, 6, absent="zero")
    with pytest.raises(SegevalError, match=r"^a and b differ in absent: skip and zero; .*--allow absent\)$"):
        compare({"a": a, "b": b}, interval=FAST)
    found = compare({"a": a, "b": b}, interval=FAST, allow=["absent"])
    assert found.allowed == ("absent",)
    assert "NOT ALIKE in absent" in render(found)
    assert [w.code for w in found.warnings if w.code == "allowed-difference"]


def test_runs_of_other_truths_are_refused_by_image():
    a, b = run_of("semantic", 1, 6), run_of("semantic", 2, 8)
    digests = b.tally.digests.copy()
    digests[[0, 2]] += np.uint64(1)
    b = b.metric.score(replace(b.tally, digests=digests))
    message = r"2 images \(6, 7\) only in b; 2 images \(0, 2\) with another truth; .* --allow truth"
    with pytest.raises(SegevalError, match=message):
        compare({"a": a, "b": b}, interval=FAST)
    found = compare({"a": a, "b": b}, interval=FAST, allow=["truth"])
    assert found.images == tuple(range(6))
    assert found.systems[1].result.values == pytest.approx(dict(subset(b, range(6)).values), nan_ok=True, abs=0)
    assert {w.code for w in found.warnings} >= {"allowed-difference", "common-images"}


def test_a_digest_beyond_the_printed_digits_counts():
    a = run_of("semantic", 1, 6)
    digests = a.tally.digests.copy()
    digests[0] += np.uint64(1)  # moves the last digits, of which the signature prints none
    b = a.metric.score(replace(a.tally, digests=digests))
    assert a.signature.difference(b.signature) == ()
    with pytest.raises(SegevalError, match="differ in truth"):
        compare({"a": a, "b": b}, interval=FAST)


def test_what_can_not_be_compared():
    a = run_of("semantic", 1, 6)
    with pytest.raises(SegevalError, match="one run is no comparison"):
        compare({"a": a})
    with pytest.raises(SegevalError, match="of the task semantic and b of the task panoptic"):
        compare({"a": a, "b": run_of("panoptic", 1, 6)}, allow=["truth", "metric"])
    with pytest.raises(SegevalError, match="b keeps no rows"):
        compare({"a": a, "b": a.with_(tally=None)})
    with pytest.raises(SegevalError, match="no 'PQ' in these runs; give one of mIoU"):
        compare({"a": a, "b": a}, metric="PQ")
    with pytest.raises(SegevalError, match="at least 2 images"):
        compare({"a": run_of("semantic", 1, 1), "b": run_of("semantic", 2, 1)})
    other = run_of("semantic", 2, 6)
    moved = replace(other.tally, keys=tuple(range(10, 16)))
    with pytest.raises(SegevalError, match="a and b have no image in common"):
        compare({"a": a, "b": other.metric.score(moved)}, allow=["truth"])


def test_another_version_is_a_caution():
    a = run_of("semantic", 1, 6)
    old = Signature(a.signature.metric, tuple((k, "0.0.1" if k == "segeval" else v) for k, v in a.signature.choices))
    found = compare({"a": a, "b": a.with_(signature=old)}, interval=FAST)
    assert "versions-differ" in {w.code for w in found.warnings}


def test_undefined_values_are_dashes_and_nulls():
    """A class in one run only, and a run in which nothing is defined."""
    a = run_of("semantic", 1, 6)
    rows = a.tally.tables["pixels"]
    void = replace(a.tally, tables={"pixels": rows.select(rows["truth"] == -1)})
    empty = saved_rule(dict(a.rule) | {"void": [255]}).score(void)
    assert math.isnan(empty["mIoU"])
    found = compare({"a": a, "b": empty}, interval=FAST)
    assert all(math.isnan(d.value) and math.isnan(d.p) and not d.significant for d in found.differences)
    assert "–" in render(found).splitlines()[2]
    data = json.loads(render(found, "json"))
    assert {d["p"] for d in data["differences"]} == {None}
    assert found.records[0].undefined == 6
    no_three = replace(a.tally, tables={"pixels": rows.select((rows["truth"] != 3) & (rows["prediction"] != 3))})
    found = compare({"a": a, "b": a.metric.score(no_three)}, interval=FAST)
    (lost,) = [d for d in found.classes if d.id == 3]
    assert math.isnan(lost.second_value)
    assert math.isnan(lost.value)


def test_many_runs_need_many_resamples():
    runs = {str(seed): run_of("semantic", seed, 5, classes=2) for seed in range(9)}
    found = compare(runs)
    assert found.interval.resamples == 2 * 36 * 20
    assert "few-resamples" not in {w.code for w in found.warnings}
    found = compare(runs, interval=Interval(resamples=700))
    (caution,) = [w for w in found.warnings if w.code == "few-resamples"]
    assert "36 pairs can be significant: give at least 1440" in caution.message


def test_groups_are_drawn_together():
    runs = {"a": run_of("semantic", 1, 12), "b": run_of("semantic", 2, 12)}
    groups = {str(i): f"video {i // 3}" for i in range(12)}
    found = compare(runs, interval=FAST, groups=groups)
    assert found.interval_signature.get("groups") == "4"
    assert "over 4 groups" in render(found)
    assert "4 groups are few" in " ".join(w.message for w in found.warnings)
    fewer = {"a": runs["a"], "b": subset(runs["b"], range(10))}
    found = compare(fewer, interval=FAST, groups=groups, allow=["truth"])
    assert found.interval_signature.get("groups") == "4"
    with pytest.raises(SegevalError, match="image 11: is in no group"):
        compare(runs, groups={k: v for k, v in groups.items() if k != "11"})
    with pytest.raises(SegevalError, match="the groups name the image '99'"):
        compare(runs, groups=groups | {"99": "video 9"})


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("task", TASKS)
def test_every_form_holds_every_system(task, form):
    names = ("plain", "a|b_c <i>&")
    runs = {name: run_of(task, seed, 6) for seed, name in enumerate(names)}
    text = render(compare(runs, interval=FAST), form)
    escaped = {"markdown": r"a\|b_c <i>&", "latex": r"a|b\_c <i>\&", "html": "a|b_c &lt;i&gt;&amp;"}
    assert escaped.get(form, names[1]) in text
    assert "nan" not in text.lower().replace("nanny", "")
    if form == "json":
        data = json.loads(text)
        assert [s["name"] for s in data["systems"]] == list(names)
        assert {d["first"] for d in data["differences"]} == {"plain"}


def test_marks_have_superscripts():
    marks = [mark(i) for i in range(800)]
    assert marks[:3] == ["a", "b", "c"]
    assert marks[24:27] == ["z", "aa", "ab"]
    assert len(set(marks)) == 800
    assert all(c in RAISED for m in marks for c in m)


def test_who_beats_whom():
    def d(first, second, value, significant=True, metric="PQ"):
        return Difference(metric, first, second, value, 0, 0, 0, 0, 0, significant)

    found = [d(0, 1, 0.1), d(0, 2, -0.1), d(1, 2, -0.2, False), d(1, 2, -0.2, True, "SQ")]
    assert beaten(0, found, "PQ", "abc") == ("c",)
    assert beaten(1, found, "PQ", "abc") == ("a",)
    assert beaten(2, found, "PQ", "abc") == ()


def test_signed_zero_has_no_sign():
    assert [FRACTION.signed(v) for v in (0.0, -0.0001, 0.0123, -0.5, math.nan)] == ["0.0", "0.0", "+1.2", "-50.0", "–"]
