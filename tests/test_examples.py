"""The examples in the docstrings of promised names run, and print what they say."""

from __future__ import annotations

import doctest
import importlib
import subprocess
import sys

import pytest

MODULES = {
    "segeval.functional": ("confusion_matrix", "dice", "iou", "panoptic_quality"),
    "segeval.results.signature": ("Signature",),
    "segeval.samples.taxonomy": ("Taxonomy",),
    "segeval.statistics.resampling": ("Interval",),
    "segeval.metrics.semantic.rule": ("SemanticIoU",),
    "segeval.metrics.panoptic.rule": ("PanopticQuality",),
    "segeval.metrics.instance.rule": ("InstanceAP",),
    "segeval.scoring.evaluation": ("score",),
    "segeval.scoring.accumulator": ("Accumulator",),
    "segeval.comparison.comparing": ("compare",),
}


def examples_of(module: str) -> list[doctest.DocTest]:
    """The examples of a module, each with its names."""
    return [t for t in doctest.DocTestFinder().find(importlib.import_module(module)) if t.examples]


@pytest.mark.parametrize("module", MODULES)
def test_examples_run(module: str) -> None:
    told: list[str] = []
    runner = doctest.DocTestRunner()
    for example in examples_of(module):
        runner.run(example, out=told.append)
    assert not told, "".join(told)


@pytest.mark.parametrize("module", MODULES)
def test_every_promised_name_has_an_example(module: str) -> None:
    shown = {example.name.removeprefix(f"{module}.") for example in examples_of(module)}
    assert set(MODULES[module]) <= shown


def test_examples_need_no_torch() -> None:
    code = f"""
import doctest, importlib, sys
for name in {list(MODULES)!r}:
    assert doctest.testmod(importlib.import_module(name)).failed == 0
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
