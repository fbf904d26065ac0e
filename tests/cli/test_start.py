"""What a start costs: help and usage errors import no compiler, and the library nothing that it may not need."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from segeval_cli import COMMANDS

HEAVY = ("numba", "llvmlite", "torch", "pandas", "scipy", "matplotlib", "pycocotools", "jinja2", "sklearn")


def loaded(code: str) -> tuple[int, set[str], str]:
    """Run a snippet; its exit code, the modules that it left loaded, and its output."""
    wrapped = f"""
import sys
code = 0
try:
    {code}
except SystemExit as stop:
    code = stop.code or 0
sys.stdout.flush()
print("\\n@", code, *sorted(m for m in sys.modules if "." not in m))
"""
    ran = subprocess.run([sys.executable, "-c", wrapped], capture_output=True, text=True, check=True)
    out, _, tail = ran.stdout.rpartition("\n@ ")
    code_text, *modules = tail.split()
    return int(code_text), set(modules), out + ran.stderr


def command(*words: str) -> tuple[int, set[str], str]:
    return loaded(f"from segeval_cli import main; raise SystemExit(main({list(words)!r}))")


def test_help_imports_no_numerics() -> None:
    for words in (["--help"], ["--version"]):
        code, modules, out = command(*words)
        assert code == 0
        assert out
        assert not modules & {*HEAVY, "numpy", "rich", "PIL"}
    code, modules, out = command()
    assert code == 2
    assert "usage: segeval" in out
    assert not modules & {*HEAVY, "numpy", "rich", "PIL"}


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_each_command(name: str) -> None:
    code, modules, out = command(name, "--help")
    assert code == 0
    assert f"usage: segeval {name}" in out
    assert not modules & {*HEAVY, "rich"}


@pytest.mark.parametrize(
    "words",
    [
        ["nonsense"],
        ["score"],
        ["score", "--pred", "x"],
        ["score", "--pred", "x", "--gt", "y", "--task", "depth"],
        ["score", "--pred", "x", "--gt", "y", "--format", "xml"],
        ["score", "--pred", "x", "--gt", "y", "--void", "sky"],
        ["score", "--pred", "x", "--gt", "y", "--task", "panoptic", "--binary"],
        ["score", "--pred", "x", "--gt", "y", "--task", "panoptic", "--map", "z"],
        ["check", "--pred", "x"],
        ["show"],
    ],
)
def test_usage_errors(words: list[str]) -> None:
    code, modules, out = command(*words)
    assert code == 2
    assert "usage: segeval" in out
    assert "segeval" in out.splitlines()[-1]
    assert "Traceback" not in out
    assert not modules & {*HEAVY, "rich"}


def test_bad_paths_cost_no_compiler() -> None:
    code, modules, out = command("score", "--pred", "nowhere", "--gt", "nowhere", "--task", "semantic")
    assert code == 1
    assert "nowhere: no such file or folder" in out
    assert not modules & set(HEAVY)


def test_the_library_is_light() -> None:
    code, modules, _ = loaded("import segeval")
    assert code == 0
    assert not modules & {*HEAVY, "numpy", "rich", "PIL"}
    code, modules, _ = loaded("from segeval import Accumulator, Result, SemanticIoU, Taxonomy, score")
    assert code == 0
    assert not modules & {*HEAVY, "rich"}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize(("where", "code", "said"), [(">&-", 0, ""), (">/dev/full", 1, "segeval: the disk is full")])
def test_an_output_that_takes_nothing(where: str, code: int, said: str) -> None:
    words = f"{sys.executable} -m segeval_cli losses --format json {where}"
    for unbuffered in ("", "1"):  # an empty value is none
        environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
        ran = subprocess.run(["sh", "-c", words], capture_output=True, text=True, check=False, env=environment)
        assert ran.returncode == code
        assert ran.stderr.startswith(said)
        assert len(ran.stderr.splitlines()) == bool(said)
