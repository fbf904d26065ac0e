"""The outcome: immutable, portable, printable."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import numpy as np
import pytest

from segeval import Accumulator, Result, SegevalError, Taxonomy, score
from segeval.functional import panoptic_quality
from tests.given.problems import png_bytes


def result() -> Result:
    seen = Accumulator("semantic", classes=("a|b", "<b>", "ü\n"))
    seen.update(prediction=np.array([[0, 1]]), truth=np.array([[0, 0]]), key="x")
    return seen.compute()


def test_it_travels() -> None:
    mine = result()
    for other in (pickle.loads(pickle.dumps(mine)), copy.deepcopy(mine)):
        assert other.to_json() == mine.to_json()
        assert other.tally == mine.tally
        assert np.array_equal(other.confusion, mine.confusion)


def test_it_does_not_change() -> None:
    mine = result()
    with pytest.raises(TypeError):
        mine.values["mIoU"] = 1.0  # type: ignore[index]
    with pytest.raises(TypeError):
        mine.per_class[0]["IoU"] = 1.0  # type: ignore[index]
    assert mine.confusion is not None
    with pytest.raises(ValueError, match="read-only"):
        mine.confusion[0, 0] = 7


def test_forms_escape_what_they_must() -> None:
    mine = result()
    assert "a\\|b" in mine.render("markdown")
    assert "&lt;b&gt;" in mine._repr_html_()
    assert "<b>" not in mine._repr_html_()
    assert "\n\n" not in mine.render("text").split("ü")[1].splitlines()[0]
    assert len(mine.frame()) == 3
    with pytest.raises(SegevalError, match="'xml' is no form; give json or one of text"):
        mine.render("xml")


def test_stuff_is_not_counted_where_nothing_is_known_of_things() -> None:
    one = (np.ones((2, 2), int), [{"id": 1, "category_id": 1}])
    text = repr(panoptic_quality(prediction=one, truth=one, classes=Taxonomy((1,))))
    assert [line.split()[-1] for line in text.splitlines()[1:4]] == ["1", "0", "0"]


def test_provenance_holds_the_options_in_force(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png_bytes(np.array([[0, 1]], np.uint8)))
    scored = score(tmp_path, tmp_path, task="semantic", void=np.array([255]))  # type: ignore[arg-type]
    assert scored.provenance["options"] == {"missing": "error", "void": (255,)}
    assert Result.load(scored.save(tmp_path / "run")).signature == scored.signature
    with pytest.raises(SegevalError, match="the path of pred is empty"):
        score("", tmp_path)
