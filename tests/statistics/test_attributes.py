"""What is known about images besides their pixels, and the groups that are drawn whole."""

from __future__ import annotations

import json

import pytest

from segeval.errors import SegevalError
from segeval.statistics.attributes import group_of_image, read_attributes, read_groups


def test_attributes_from_csv_and_json(tmp_path):
    table = {"a.png": {"light": "day", "cars": "3"}, "b": {"light": "night"}}
    path = tmp_path / "attributes.csv"
    path.write_text("\ufeffimage,light,cars\na.png,day,3\n\nb,night,\n", encoding="utf-8")
    assert read_attributes(path) == table
    path = tmp_path / "attributes.json"
    path.write_text(json.dumps({"a.png": {"light": "day", "cars": 3}, "b": {"light": "night", "cars": None}}))
    assert read_attributes(path) == table
    path.write_text(json.dumps([{"image": "a.png", "light": "day", "cars": 3}, {"image": "b", "light": "night"}]))
    assert read_attributes(path) == table
    path.write_text(json.dumps({"a": "one", "b": "two"}))
    assert read_groups(path) == {"a": "one", "b": "two"}
    path.write_text(json.dumps({"a": {"rain": True}}))
    assert read_attributes(path) == {"a": {"rain": "yes"}}


def test_an_image_that_two_spellings_name_is_refused():
    with pytest.raises(SegevalError, match=r"the groups name the image 'a' twice, as 'a.png' too"):
        group_of_image(["a", "b"], {"a": "day", "a.png": "night", "b": "day"})


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("x.csv", "", "is empty"),
        ("x.csv", "image\na\n", "has the header 'image'"),
        ("x.csv", "image,light,light\na,1,2\n", "different names"),
        ("x.csv", "image,light\na\n", "row 2 has 1 cells"),
        ("x.csv", "image,light\na,day\na,day\n", "image 'a' is listed twice"),
        ("x.csv", "image,light\na,\n", "says nothing"),
        ("x.json", "{", "is not JSON"),
        ("x.json", "3", "holds no attributes"),
        ("x.json", '{"a": {"light": [1]}}', "'light' of image 'a' is no single value"),
        ("x.json", "{}", "says nothing"),
    ],
)
def test_attributes_that_can_not_be_read(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(SegevalError, match=message) as caught:
        read_attributes(tmp_path / name)
    assert name in str(caught.value)


def test_attribute_files_that_are_none(tmp_path):
    (tmp_path / "x.csv").write_bytes(b"image,light\n\xff\xfe,day\n")
    with pytest.raises(SegevalError, match="not UTF-8"):
        read_attributes(tmp_path / "x.csv")
    with pytest.raises(SegevalError, match="can't be read"):
        read_attributes(tmp_path / "absent.csv")
    (tmp_path / "g.csv").write_text("image,a,b\nx,1,2\n")
    with pytest.raises(SegevalError, match="2 columns besides the image"):
        read_groups(tmp_path / "g.csv")
