"""The promised names: they load, carry their docs, and are what `help(segeval)` lists."""

from __future__ import annotations

import importlib
import inspect
import pydoc
import re
import subprocess
import sys
from pathlib import Path

import pytest

import segeval

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("name", segeval.__all__)
def test_a_promised_name_loads_and_says_what_it_is(name: str) -> None:
    about = inspect.getdoc(getattr(segeval, name)) or ""
    assert about
    assert not about.startswith(f"{name}(")  # what a dataclass says of itself
    assert name in dir(segeval)


def test_help_lists_the_promised_names_with_their_docs() -> None:
    text = pydoc.render_doc(segeval, renderer=pydoc.plaintext)
    classes = set(re.findall(r"^    class (\w+)", text, re.MULTILINE))
    functions = set(re.findall(r"^    (\w+)\(", text[text.index("\nFUNCTIONS") :], re.MULTILINE))
    assert classes | functions | {"__version__"} == set(segeval.__all__)
    assert "Score predictions against truth, from folders or files" in text
    for module in ("functional", "losses", "adapters", "conversion", "report", "metrics.metric"):
        assert f"`segeval.{module}`" in text[: text.index("PACKAGE CONTENTS")]
        importlib.import_module(f"segeval.{module}")


@pytest.mark.parametrize("name", ["adapters", "conversion", "functional", "losses", "report"])
def test_promised_modules_are_attributes_without_an_import(name: str) -> None:
    code = f"import segeval, sys; assert 'numpy' not in sys.modules; assert segeval.{name}.__name__ == 'segeval.{name}'"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'segeval' has no attribute 'scores'"):
        _ = segeval.scores  # type: ignore[attr-defined]


def test_names_that_plugins_may_import_are_there() -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(segeval\.[\w.]+)` \| (.*) \|$", page, re.MULTILINE)
    assert {"segeval.metrics.metric", "segeval.evidence.tally", "segeval.readers.formats"} <= {row[0] for row in rows}
    for module, names in rows:
        for name in re.findall(r"`(\w+)`", names):
            assert hasattr(importlib.import_module(module), name), f"{module}.{name}"
