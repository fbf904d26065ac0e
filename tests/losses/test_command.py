"""`segeval losses` lists the registry."""

from __future__ import annotations

import argparse
import json
import sys

import pytest
from segeval_cli.commands import losses as command

from segeval.errors import SegevalError
from segeval.losses import LOSSES


def run(*words: str) -> int:
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers())
    return command.run(parser.parse_args(["losses", *words]))


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--format", "json") == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in rows] == list(LOSSES)
    for row in rows:
        info = LOSSES[row["name"]]
        assert (row["level"], row["paper"], tuple(row["needs"])) == (info.level, info.paper, info.needs)


@pytest.mark.parametrize("form", ["text", "markdown"])
def test_tables(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--format", form, "--level", "combination") == 0
    lines = capsys.readouterr().out.splitlines()
    count = sum(info.level == "combination" for info in LOSSES.values())
    assert len(lines) == count + (2 if form == "markdown" else 1)
    assert "combo" in lines[-count]


def test_without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    for name in [name for name in sys.modules if name.startswith("segeval.losses")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(SegevalError, match="need torch, which is not installed"):
        run()
