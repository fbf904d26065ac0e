"""Saved runs with every kind of damage: one line that names the field; a defect of a rule is not told as damage."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segeval import Result, SegevalError, SemanticIoU, load_run, score
from segeval.evidence.rows import Rows
from segeval.evidence.tally import Tally


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


@pytest.mark.parametrize("text", ["[" * 100_000, '{"format": 1, "images": ' + "9" * 5000 + "}", "\udcff", ""])
def test_what_is_no_json_is_one_line(run: Path, text: str) -> None:
    (run / "result.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(SegevalError, match=r"result\.json: damaged run \(.*; score again"):
        Result.load(run)


@pytest.mark.parametrize(
    ("field", "value"), [("band", "x"), ("binary", 3), ("absent", 7), ("exclude", "all"), ("void", 2.5)]
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
    from dataclasses import replace

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
