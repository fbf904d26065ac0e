"""The map of the code: true of this checkout, and able to tell where it is not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

PROJECT = """
[tool.hatch.build.targets.wheel]
packages = ["segeval"]

[[tool.importlinter.contracts]]
name = "down only"
type = "layers"
containers = ["segeval"]
layers = ["roof", "left | right", "one : other", "cellar"]
"""

FILES = {
    "segeval/__init__.py": "",
    "segeval/roof.py": '"""What covers all."""\nfrom segeval import left\nfrom segeval.right import window\n',
    "segeval/left.py": "def look():\n    from segeval.cellar import coal\n",
    "segeval/right.py": "import segeval.one\n",
    "segeval/one.py": "from segeval.other import thing\n",
    "segeval/other.py": "",
    "segeval/cellar/__init__.py": '"""What is below."""\n',
    "segeval/cellar/coal.py": "",
    "CONTRIBUTING.md": "Dig in `segeval/cellar/coal.py`.\n",
    "docs/architecture.md": (
        "# A house\n\n<!-- rooms, written by architecture_map.py -->\n<!-- end of rooms -->\n\n"
        "`segeval/left.look` looks out.\n"
    ),
}


def run(root: Path, *words: str) -> tuple[int, str]:
    """What the script says of a checkout."""
    here = root / "docs" / "architecture_map.py"
    ran = subprocess.run([sys.executable, str(here), *words], capture_output=True, text=True, check=False)
    return ran.returncode, ran.stdout + ran.stderr


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A checkout of a few rooms, its map drawn."""
    files = {**FILES, "pyproject.toml": PROJECT}
    files["docs/architecture_map.py"] = (ROOT / "docs" / "architecture_map.py").read_text(encoding="utf-8")
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert run(tmp_path)[0] == 0
    assert run(tmp_path, "--check") == (0, "the map is true: 8 modules\n")
    return tmp_path


def test_the_map_of_this_checkout_is_true() -> None:
    code, said = run(ROOT, "--check")
    assert code == 0, said


def test_the_page_lists_the_rooms_from_the_top(house: Path) -> None:
    page = (house / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert page.startswith("# A house\n")
    assert "| 3 | `roof` | 1 | What covers all. |\n| 2 | `left` |" in page
    assert "| 0 | `cellar` | 1 | What is below. |" in page
    assert page.endswith("`segeval/left.look` looks out.\n")
    picture = (house / "docs" / "images" / "rooms.svg").read_text(encoding="utf-8")
    assert "5 rooms" not in picture
    assert "6 rooms on 4 floors" in picture
    run(house)
    assert (house / "docs" / "images" / "rooms.svg").read_text(encoding="utf-8") == picture


@pytest.mark.parametrize(
    ("name", "text", "fault"),
    [
        ("cellar/coal.py", "import segeval.roof\n", "segeval.cellar.coal -> segeval.roof runs up"),
        ("cellar/coal.py", "def f():\n    from segeval import roof\n", "segeval.cellar.coal -> segeval.roof runs up"),
        ("cellar/coal.py", "from .. import roof\n", "segeval.cellar.coal -> segeval.roof runs up"),
        ("cellar/coal.py", "from ..roof import left\n", "segeval.cellar.coal -> segeval.roof runs up"),
        (
            "cellar/coal.py",
            "import importlib\nx = importlib.import_module('segeval.roof')\n",
            "segeval.cellar.coal -> segeval.roof runs up",
        ),
        ("left.py", "import segeval.right\ndef look(): ...\n", "segeval.left -> segeval.right runs up"),
        ("other.py", "import segeval.one\n", "segeval.one <-> segeval.other import each other"),
        (
            "other.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import segeval.one\n",
            "segeval.one <-> segeval.other import each other",
        ),
        ("left.py", "", "docs/architecture.md names segeval/left.look, which does not exist"),
        ("cellar/more.py", "", "docs/images/rooms.svg is not what the code gives"),
        ("cellar/__init__.py", '"""What lies below."""\n', "docs/architecture.md is not what the code gives"),
    ],
)
def test_what_is_not_true_is_told(house: Path, name: str, text: str, fault: str) -> None:
    (house / "segeval" / name).write_text(text, encoding="utf-8")
    code, said = run(house, "--check")
    assert code == 1
    assert fault in said


def test_a_page_without_markers_is_refused(house: Path) -> None:
    (house / "docs" / "architecture.md").write_text("# A house\n", encoding="utf-8")
    code, said = run(house)
    assert code == 1
    assert "docs/architecture.md lacks the markers; put these two lines" in said


def test_another_checkout_is_counted_and_left_as_it_is(house: Path) -> None:
    before = {path: path.read_bytes() for path in house.rglob("*") if path.is_file()}
    code, said = run(ROOT, "--root", str(house))
    assert code == 0
    assert said.splitlines()[1].split() == ["segeval", "8", "6", "4", "0", "0", "1", "0"]
    assert {path: path.read_bytes() for path in house.rglob("*") if path.is_file()} == before
