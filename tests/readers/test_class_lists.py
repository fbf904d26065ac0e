"""Lists of classes as people have them: numbered lines, tables, and names by id; never read as plain names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from segeval import SegevalError
from segeval.readers.classes import read_classes

LISTS = {
    "_classes.csv": ("Pixel Value, Class\n0, background\n1, Cat\n2, Dog\n", {0: "background", 1: "Cat", 2: "Dog"}),
    "class_dict.csv": ("name,r,g,b\nbackground,0,0,0\nCat,48,112,32\n", {0: "background", 1: "Cat"}),
    "semicolons.csv": ("\ufeffid;name\r\n7;road\r\n8;sky\r\n", {7: "road", 8: "sky"}),
    "tabs.tsv": ("label\tid\nsky\t8\nroad\t7\n", {7: "road", 8: "sky"}),
    "colons.txt": ("0: background\n1: Cat\n2: hot dog\n", {0: "background", 1: "Cat", 2: "hot dog"}),
    "from_one.txt": ("1 Cat\n2 Dog\n\n3 Cow\n", {1: "Cat", 2: "Dog", 3: "Cow"}),
    "backwards.txt": ("2 Dog\n1 Cat\n0 background\n", {0: "background", 1: "Cat", 2: "Dog"}),
    "pairs.csv": ("0,background\n5,Cat\n", {0: "background", 5: "Cat"}),
    "plain.txt": ("road\n2 wheels\nsky, sea\n", {0: "road", 1: "2 wheels", 2: "sky, sea"}),
    "id2label.json": (json.dumps({"0": "bg", "10": "dog", "2": "cat"}), {0: "bg", 2: "cat", 10: "dog"}),
    "config.json": (json.dumps({"model_type": "x", "id2label": {"0": "bg", "1": "cat"}}), {0: "bg", 1: "cat"}),
}


@pytest.mark.parametrize("name", LISTS)
def test_classes_are_read_by_id(tmp_path: Path, name: str) -> None:
    text, wanted = LISTS[name]
    (tmp_path / name).write_text(text, encoding="utf-8", newline="")
    taxonomy, void = read_classes(str(tmp_path / name))
    assert dict(zip(taxonomy.ids, taxonomy.names, strict=True)) == wanted
    assert list(taxonomy.ids) == sorted(wanted)
    assert void is None


def test_colours_of_a_table_are_kept_with_their_class(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("name,r,g,b,id\nsky,1,2,3,5\nroad,4,5,6,2\n")
    taxonomy, _ = read_classes(str(tmp_path / "a.csv"))
    assert (taxonomy.ids, taxonomy.names, taxonomy.colours) == ((2, 5), ("road", "sky"), ((4, 5, 6), (1, 2, 3)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("alpha,beta\n1,2\n", "is a table whose first line names no column of names: 'alpha,beta'"),
        ("id,name\nx,road\n", "line 2 has 'x' where a number belongs"),
        ("id,name\n1,road,5\n", "line 2 has 3 cells, not 2"),
        ("id,name\n1,road\n1,sky\n", "class id 1 is given twice"),
        ("1 cat\n1 dog\n", "class id 1 is given twice"),
        ("name,r,g,b\nroad,1,2,999\n", "[1, 2, 999] is no colour"),
    ],
)
def test_a_table_that_can_not_be_right_names_the_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(SegevalError) as caught:
        read_classes(str(tmp_path / "a.csv"))
    assert f"a.csv: {message}" in str(caught.value)
