"""One reading for all who open data: keywords, options of the command, what a run records, and reading it again."""

from __future__ import annotations

import inspect
import json
import pickle
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from segeval_cli import parser_for
from segeval_cli.commands.score import reading_options

from segeval import SegevalError, score
from segeval.checking.checking import check
from segeval.metrics.semantic.rule import SemanticIoU
from segeval.options import option, options
from segeval.readers.reading import Reading
from segeval.report.pictures.reread import Files
from segeval.samples.taxonomy import Taxonomy
from segeval.scoring import opening
from tests.given.problems import png_bytes

LABELS = np.array([[0, 1, 1], [2, 2, 1]], np.uint8)
FIELDS = [f.name for f in fields(Reading)]

# A value of each option that is not its default, and the words that say it.
OTHERS: dict[str, tuple[Any, list[str]]] = {
    "classes": ("5", ["5"]),
    "missing": ("skip", ["skip"]),
    "pred_format": ("labels", ["labels"]),
    "gt_format": ("labels", ["labels"]),
    "pred_suffix": ("_pred", ["_pred"]),
    "gt_suffix": ("_gt", ["_gt"]),
}
CHANGED = {name: value for name, (value, _) in OTHERS.items()}


def folders(root: Path) -> tuple[Path, Path]:
    for side, suffix in (("pred", "_pred"), ("gt", "_gt")):
        (root / side).mkdir()
        for name in ("1", "2"):
            (root / side / f"{name}{suffix}.png").write_bytes(png_bytes(LABELS))
            (root / side / f"{name}_other.png").write_bytes(png_bytes(LABELS + 9))
    (root / "gt" / "3_gt.png").write_bytes(png_bytes(LABELS))
    return root / "pred", root / "gt"


def test_every_option_has_another_value_here() -> None:
    assert ["pred", "gt", *OTHERS] == FIELDS == list(options(Reading))


@pytest.mark.parametrize("function", [score, check])
def test_every_option_is_a_keyword(function: Any) -> None:
    shown = inspect.signature(function).parameters
    assert [name for name in FIELDS if name not in shown] == []
    assert {name: shown[name].default for name in OTHERS} == {
        f.name: f.default for f in fields(Reading) if f.name in OTHERS
    }


@pytest.mark.parametrize("command", ["score", "check"])
def test_every_option_is_one_of_the_command(command: str) -> None:
    words = [command, "--pred", "p", "--gt", "g"]
    args = parser_for(command).parse_args(words)
    assert reading_options(args) == {}
    for name, (_, said) in OTHERS.items():
        words += [f"--{name.replace('_', '-')}", *said]
    args = parser_for(command).parse_args(words)
    assert (args.pred, args.gt) == ("p", "g")
    assert reading_options(args) == CHANGED


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--gt-format", "label"], "argument --gt-format: 'label' is no format; did you mean labels?"),
        (["--classes", "0"], "argument --classes: 0 is no number of classes; give 1 to "),
        (["--missing", "never"], "argument --missing: invalid choice: 'never'"),
        (["--gt", "g"], "the following arguments are required: --pred"),
        (["--void", "x"], "argument --void: invalid void_value value: 'x'"),
    ],
)
def test_misuse_is_told_by_the_parser(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parser_for("score").parse_args(["score", *words])
    assert message in capsys.readouterr().err


def test_a_run_records_how_it_was_read_and_is_read_so_again(tmp_path: Path) -> None:
    pred, gt = folders(tmp_path)
    result = score(pred, gt, task="semantic", **CHANGED)
    kept = {name: value for name, value in CHANGED.items() if name != "classes"}
    assert result.provenance["options"] == kept
    assert list(result.provenance["options"]) == list(kept)
    saved = json.loads(json.dumps(dict(result.provenance)))
    again = Reading.of_run(saved, result.metric.taxonomy)
    assert again == Reading(str(pred), str(gt), **{**CHANGED, "classes": Taxonomy.of_count(5)})
    files = Files(result, result.taxonomy)
    assert files.source.keys() == ("1_gt", "2_gt")
    assert check(pred, gt, task="semantic", **CHANGED).fine
    plain = score(gt, gt, task="semantic", gt_suffix="_gt", pred_suffix="_gt")
    assert plain.provenance["options"] == {"missing": "error", "pred_suffix": "_gt", "gt_suffix": "_gt"}


def test_a_run_of_no_files_is_not_read_again() -> None:
    with pytest.raises(SegevalError, match="the run does not say where its files are; score from paths"):
        Reading.of_run({"pred": "x"}, None)


def test_keywords_are_told_apart() -> None:
    reading, rest = Reading.among("p", "g", {**CHANGED, "void": (3,), "what": 1})
    assert reading == Reading("p", "g", **CHANGED)
    assert rest == {"void": (3,), "what": 1}
    assert pickle.loads(pickle.dumps(reading)) == reading
    assert reading.of("truth", "suffix") == "_gt"
    assert reading.of("prediction", "suffix") == "_pred"


@pytest.mark.parametrize("task", ["semantic", "panoptic", "instance"])
def test_a_word_that_is_no_choice_is_refused_whatever_the_task(tmp_path: Path, task: str) -> None:
    """Also where truth and results are COCO JSON files, whose images pair without it."""
    truth = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "a"}]}
    (tmp_path / "gt.json").write_text(json.dumps(truth))
    (tmp_path / "pred.json").write_text("[]")
    said: dict[str, Any] = {"task": task, "missing": "never"}
    message = "missing='never' is no choice; give error, skip or empty"
    with pytest.raises(SegevalError, match=message):
        score(tmp_path / "pred.json", tmp_path / "gt.json", **said)
    report = check(tmp_path / "pred.json", tmp_path / "gt.json", **said)
    assert not report.fine
    assert message in report.render()


def test_a_rule_can_not_have_an_option_of_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else one of the two would never hear of what was asked."""

    @dataclass(frozen=True)
    class Other(SemanticIoU):
        task: ClassVar[str] = "other"
        missing: int = option(3, "how many may be missing")

    monkeypatch.setattr(opening, "rule_of", lambda task: Other)
    monkeypatch.setattr(opening, "reads_of", lambda task: "semantic")
    pred, gt = folders(tmp_path)
    with pytest.raises(
        SegevalError, match="the rule of 'other' has the option 'missing', which says how data are read"
    ):
        score(pred, gt, task="other", missing="skip")


def test_an_option_of_other_data_is_refused() -> None:
    @dataclass(frozen=True)
    class More(Reading):
        divisor: int | None = option(
            None, "ids are class * N + instance", parse=int, several=False, tasks=("panoptic",)
        )

    said = More("p", "g", divisor=256)
    said.require_use("panoptic")
    More("p", "g").require_use("semantic")
    with pytest.raises(
        SegevalError, match="divisor is no option of the semantic task; leave it out: it says how panoptic"
    ):
        said.require_use("semantic")


def test_one_void_value_is_enough(tmp_path: Path) -> None:
    """A number for a tuple of one, in every task that has void."""
    (tmp_path / "a.png").write_bytes(png_bytes(LABELS))
    for task in ("semantic", "panoptic"):
        one, several = (score(tmp_path, tmp_path, task=task, void=void) for void in (2, (2,)))
        assert one.to_json() == several.to_json()
        assert one.provenance == several.provenance


def test_help_names_the_formats(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parser_for("score").parse_args(["score", "--help"])
    out = " ".join(capsys.readouterr().out.split())
    assert "force the format of the truth: labels, coco-panoptic, panoptic-coded" in out
    assert "truths without a prediction (default: error)" in out
