"""Saved runs with every kind of damage: one line that names the field; a defect of a rule is not told as damage."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segeval import InstanceAP, Result, SegevalError, SemanticIoU, Taxonomy, load_run, score
from segeval.evidence.rows import Rows
from segeval.evidence.tally import Tally
from segeval.scoring.shards import merge_runs
from tests.given import instance_problems


@pytest.fixture
def run(tmp_path: Path) -> Path:
    for side in ("pred", "gt"):
        (tmp_path / side).mkdir()
        for k in range(2):
            np.save(tmp_path / side / f"{k}.npy", np.arange(12, dtype=np.uint8).reshape(3, 4) % 3)
    score(tmp_path / "pred", tmp_path / "gt", task="semantic", classes=3).save(tmp_path / "run")
    return tmp_path / "run"


def edited(run: Path, **changes: Any) -> None:
    path = run / "result.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def deep(levels: int) -> dict[str, Any]:
    value: Any = 0
    for _ in range(levels):
        value = [value]
    return {"void": value}


SHARD = {"index": 1, "of": 1, "images": 2, "keys": "00", "spans": [["0", "1", 2]], "cautions": []}

DAMAGE: dict[str, tuple[dict[str, Any], str]] = {
    "text for a number": ({"images": "2"}, "'images' is a str"),
    "truth value for a number": ({"images": True}, "'images' is a bool"),
    "negative": ({"images": -1}, "'images' is -1"),
    "huge": ({"images": 2**70}, "'images' is 1180591620717411303424"),
    "list for a mapping": ({"values": []}, "'values' is a list"),
    "nested value": ({"values": {"mIoU": {"a": 1}}}, "'mIoU' in 'values' is a dict"),
    "class that is none": ({"per_class": [3]}, "a class without 'id' or 'name'"),
    "id that is none": ({"per_class": [{"id": 0.5, "name": "a"}]}, "the class 0.5"),
    "caution that is none": ({"warnings": ["x"]}, "'warnings' hold something else"),
    "three ends": ({"intervals": {"mIoU": [0, 1, 2]}}, "the interval of 'mIoU' is no pair of numbers"),
    "ends of classes": ({"class_intervals": [{"id": 0, "IoU": 3}]}, "the interval of 'IoU' is no pair of numbers"),
    "flat matrix": ({"confusion": [1, 2, 3]}, "'confusion' is no matrix of counts"),
    "ragged matrix": ({"confusion": [[1, 2], [3], [4]]}, "'confusion' is no matrix of counts"),
    "wide number in a matrix": ({"confusion": [[2**63] * 4] * 3}, "'confusion' is no matrix of counts"),
    "rule": ({"rule": []}, "'rule' is a list"),
    "deep rule": ({"rule": deep(60)}, "'rule' is nested more than 50 deep"),
    "deep provenance": ({"provenance": deep(400)}, "'provenance' is nested more than 50 deep"),
    "number that no float holds": ({"values": {"mIoU": 10**400}}, "'mIoU' in 'values' is 1000"),
    "end that no float holds": ({"intervals": {"mIoU": [0, 10**400]}}, "the interval of 'mIoU' is no pair"),
    "interval of no value": ({"intervals": {"depth": [0, 1]}}, "an interval of 'depth', and no such value"),
    "intervals of no class": ({"intervals": {"mIoU": [0, 1]}}, "'class_intervals' are of other classes"),
    "mapping of class intervals": ({"class_intervals": {}}, "'class_intervals' is a dict"),
    "nameless method": ({"interval_signature": 5}, "'interval_signature' is a int"),
    "shard that is none": ({"provenance": {"shard": 3}}, "'shard' is a int"),
    "shard without its images": ({"provenance": {"shard": {"index": 1, "of": 2}}}, "'images' in 'shard' is None"),
    "shards without end": ({"provenance": {"shard": SHARD | {"of": 2**64}}}, "'shard' is 1 of 18446744073709551616"),
    "spans that are none": (
        {"provenance": {"shard": SHARD | {"spans": [3]}}},
        "'spans' in 'shard' hold something else",
    ),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_named(run: Path, name: str) -> None:
    changes, message = DAMAGE[name]
    edited(run, **changes)
    for load in (Result.load, load_run):
        with pytest.raises(SegevalError) as caught:
            load(run)
        assert f"result.json: damaged run ({message}" in str(caught.value)
        assert str(caught.value).endswith("; score again")


def test_a_class_without_a_figure_is_named(run: Path) -> None:
    """Also where the rows would say that the figure is undefined."""
    rows = json.loads((run / "result.json").read_text())["per_class"]
    del rows[1]["IoU"]
    edited(run, per_class=rows)
    with pytest.raises(SegevalError, match=r"damaged run \(no 'IoU' of the class 1 in 'per_class'\)"):
        Result.load(run)


@pytest.mark.parametrize("ids", [[0, 1, 1e400], [0, 1, "x"], 3])
def test_classes_that_are_none_are_one_line(run: Path, ids: Any) -> None:
    rule = json.loads((run / "result.json").read_text())["rule"]
    edited(run, rule=rule | {"taxonomy": rule["taxonomy"] | {"ids": ids}})
    with pytest.raises(SegevalError, match="the classes of the saved run can't be read"):
        load_run(run)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"format": 1, "images": ' + "9" * 5000 + "}", "\udcff", ""])
def test_what_is_no_json_is_one_line(run: Path, text: str) -> None:
    (run / "result.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(SegevalError, match=r"result\.json: damaged run \(.*; score again"):
        Result.load(run)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("band", "x"), ("binary", 3), ("absent", 7), ("exclude", "all"), ("exclude", None), ("void", 2.5)),
        *(("map_truth", None), ("map_truth", [1]), ("map_prediction", [[1, 2, 3]]), ("threshold", 10**400)),
    ],
)
def test_a_rule_of_other_values_is_named(run: Path, field: str, value: Any) -> None:
    rule = json.loads((run / "result.json").read_text())["rule"]
    edited(run, rule=rule | {field: value})
    with pytest.raises(SegevalError, match=field):
        load_run(run)


def rows_of(rows: Rows, **columns: Any) -> Rows:
    return Rows(
        rows.image,
        {k: columns.get(k, v) for k, v in rows.groups.items() if columns.get(k, v) is not None},
        {k: columns.get(k, v) for k, v in rows.counts.items() if columns.get(k, v) is not None},
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: {}, "the rows lack the table 'pixels'"),
        (lambda t: t | {"pixels": rows_of(t["pixels"], pixels=None)}, "the rows lack the column 'pixels' of 'pixels'"),
    ],
)
def test_rows_of_another_layout_are_named(run: Path, change: Any, message: str) -> None:
    tally = Tally.load(run / "tally.npz")
    replace(tally, tables=change(dict(tally.tables))).save(run / "tally.npz")
    with pytest.raises(SegevalError) as caught:
        load_run(run)
    assert f"damaged run ({message})" in str(caught.value)


@pytest.mark.parametrize("error", [KeyError, ValueError, TypeError, IndexError, AttributeError])
def test_a_defect_of_a_rule_is_no_damage(run: Path, monkeypatch: pytest.MonkeyPatch, error: type[Exception]) -> None:
    def broken(self: SemanticIoU, tally: Tally) -> Result:
        raise error("ours")

    monkeypatch.setattr(SemanticIoU, "score", broken)
    with pytest.raises(error, match="ours"):
        load_run(run)
    with pytest.raises(error, match="ours"):
        merge_runs([run])


@pytest.mark.parametrize("more", [{"class_agnostic": True, "classes": Taxonomy((5, 6))}, {"diagnose": True}])
def test_a_defect_is_no_damage_whatever_the_rows_of_instances_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: dict[str, Any]
) -> None:
    gt, pred = instance_problems.write(tmp_path, *instance_problems.problem(3, {"crowd"}))
    score(pred, gt, task="instance", **more).save(tmp_path / "run")

    def broken(self: InstanceAP, tally: Tally) -> Result:
        raise KeyError("ours")

    monkeypatch.setattr(InstanceAP, "score", broken)
    with pytest.raises(KeyError, match="ours"):
        load_run(tmp_path / "run")


def test_rows_of_another_layout_are_named_by_their_shard(run: Path, tmp_path: Path) -> None:
    rows = Tally.load(run / "tally.npz")
    replace(rows, tables={"pixels": rows_of(rows.tables["pixels"], pixels=None)}).save(run / "tally.npz")
    with pytest.raises(SegevalError, match=r"run.result\.json: damaged run \(the rows lack the column 'pixels'"):
        merge_runs([run])
