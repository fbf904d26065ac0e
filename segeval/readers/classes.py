"""Class lists: a count, a text file of names, or a JSON."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from segeval.errors import SegevalError
from segeval.samples.taxonomy import Colour, Taxonomy
from segeval.storage.json_files import integer, read_json
from segeval.storage.mounts import present

# The longest names in use are lists of synonyms, of up to a hundred characters (ADE20K).
LONGEST_NAME = 120

_MARKUP = ("#", "|", "`", "<", "- ", "* ", "> ", "//", "/*", "---", "===", "[", "{", "@", "$", '"')


def read_classes(text: str) -> tuple[Taxonomy, tuple[int, ...] | None]:
    """The taxonomy that ``--classes`` names, and the void values if the file tells them.

    Parameters
    ----------
    text
        A count; a text file with one name a line (ids from 0), or with a number and a name in each (``0: road``,
        ``1 car``); a table with headers (``Pixel Value, Class`` or ``name,r,g,b``); or a JSON file: a list of names, a
        list of objects with ``id``, ``name`` and perhaps ``color`` and ``isthing``, an object holding such a list as
        ``categories`` or ``classes``, an object with ``names`` (and ``palette``, ``void``), or names by id, perhaps as
        ``id2label``.

    Raises
    ------
    SegevalError
        If it is none of these, or its lines can't be names of classes.
    """
    if text.strip().isdigit():
        return Taxonomy.of_count(int(text)), None
    path = Path(text)
    if path.suffix.lower() == ".json":
        return _from_json(read_json(path), path)
    try:
        lines = path.read_bytes().decode("utf-8-sig").splitlines()
    except FileNotFoundError:
        raise SegevalError("no such file", file=text, remedy="give --classes a number or a file of names") from None
    except OSError as error:
        raise SegevalError(f"can't be read ({error.strerror})", file=text, remedy="check the path") from None
    except UnicodeDecodeError:
        raise SegevalError("is not UTF-8 text", file=text, remedy="give a text file with one name a line") from None
    return _from_table(lines, text) or _from_numbered(lines, text) or Taxonomy.of_names(_names(lines, text)), None


def class_list(word: str) -> str:
    """What names classes, as it is given: a file, which is read later, or their number, which is looked at now.

    Raises
    ------
    SegevalError
        For a number of classes that can't be.
    """
    if word.strip().isdecimal():
        Taxonomy.of_count(int(word))
    return word


def given_classes(
    classes: Taxonomy | int | str | Sequence[str] | os.PathLike[str] | None,
) -> tuple[Taxonomy | None, tuple[int, ...] | None]:
    """The taxonomy that a caller means, and the void values if a file tells them; nothing for None.

    Raises
    ------
    SegevalError
        As `read_classes` and `Taxonomy.of`.
    """
    if classes is None:
        return None, None
    if isinstance(classes, (str, os.PathLike)):
        return read_classes(os.fspath(classes))
    return Taxonomy.of(classes), None


# What a column's header may say, by what the column holds.
_HEADERS = {
    "id": ("id", "index", "value", "pixel value", "pixel_value", "class id", "class_id", "label id", "trainid"),
    "name": ("name", "class", "class name", "class_name", "label"),
    "r": ("r", "red"),
    "g": ("g", "green"),
    "b": ("b", "blue"),
}
_NUMBERED = re.compile(r"(\d+)\s*[:,;=\t ]\s*(\S.*)")


def _from_table(lines: list[str], path: str) -> Taxonomy | None:
    """Classes from a table whose first line names its columns; None if the file is none.

    Raises
    ------
    SegevalError
        For a table without a column of names, and for cells that are no numbers.
    """
    rows = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    mark = next((m for m in ",;\t" if len(rows) > 1 and all(m in line for _, line in rows)), "")
    if not mark:
        return None
    cells = [(number, [cell.strip().strip('"') for cell in line.split(mark)]) for number, line in rows]
    column = {
        what: k for what, words in _HEADERS.items() for k, cell in enumerate(cells[0][1]) if cell.lower() in words
    }
    if not column and all(_NUMBERED.fullmatch(line.strip()) for _, line in rows):
        return None
    if "name" not in column:
        text = f"is a table whose first line names no column of names: {rows[0][1].strip()[:60]!r}"
        raise SegevalError(
            text, file=path, remedy="name the columns id and name (and r, g, b), or write one name a line"
        )
    ids, names, colours = [], [], []
    for k, (number, row) in enumerate(cells[1:]):
        if len(row) != len(cells[0][1]):
            raise SegevalError(
                f"line {number} has {len(row)} cells, not {len(cells[0][1])}", file=path, remedy="mend it"
            )
        ids.append(_cell(row[column["id"]], number, path) if "id" in column else k)
        names.append(row[column["name"]])
        if {"r", "g", "b"} <= column.keys():
            colours.append(_colour([_cell(row[column[c]], number, path) for c in "rgb"], Path(path)))
    return _of_ids(ids, names, path, tuple(colours))


def _cell(text: str, line: int, path: str) -> int:
    if not text.isdecimal():
        raise SegevalError(f"line {line} has {text[:40]!r} where a number belongs", file=path, remedy="write a number")
    return int(text)


def _from_numbered(lines: list[str], path: str) -> Taxonomy | None:
    """Classes from lines that all begin with a number of their own; None if they don't."""
    found = [_NUMBERED.fullmatch(line.strip()) for line in lines if line.strip()]
    if len(found) < 2 or not all(found):
        return None
    return _of_ids([int(m[1]) for m in found if m], [m[2].strip() for m in found if m], path)


def _of_ids(ids: list[int], names: list[str], path: str, colours: tuple[Colour, ...] = ()) -> Taxonomy:
    """Classes by id, whatever the order of the lines."""
    order = sorted(range(len(ids)), key=ids.__getitem__)
    try:
        chosen = tuple(colours[k] for k in order) if colours else ()
        return Taxonomy(tuple(ids[k] for k in order), tuple(names[k] for k in order), None, chosen)
    except SegevalError as error:
        raise SegevalError(error.message, file=path, remedy=error.remedy) from None


def _names(lines: list[str], path: str) -> list[str]:
    """One name a line; blank lines are passed over.

    Raises
    ------
    SegevalError
        If there is none, for a line that can't be the name of a class, and for a name given twice.
    """
    first: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        name = line.strip()
        if not name:
            continue
        if reason := _no_name(name):
            shown = name if len(name) <= 40 else name[:37] + "..."
            text = f"line {number} is no class name ({reason}): {shown!r}"
            raise SegevalError(text, file=path, remedy="give a text file with one class name a line, or a JSON")
        if name in first:
            text = f"lines {first[name]} and {number} give the same name, {name!r}"
            raise SegevalError(text, file=path, remedy="give each class its own name")
        first[name] = number
    if not first:
        raise SegevalError("holds no name", file=path, remedy="write one class name a line")
    return list(first)


def _no_name(name: str) -> str:
    """Why a line is not the name of a class, or nothing: prose, markup and code pass for names all too easily."""
    if len(name) > LONGEST_NAME:
        return f"{len(name)} characters"
    if not name.isprintable():
        return "control characters"
    if name.startswith(_MARKUP) or "](" in name or "=" in name:
        return "markup or code"
    if name.endswith((".", ":", ";", "!", "?", "{", "[", "(", ",")):
        return "the end of a sentence or of a line of code"
    return ""


def _from_json(data: Any, path: Path) -> tuple[Taxonomy, tuple[int, ...] | None]:
    void: tuple[int, ...] | None = None
    palette: Any = None
    if isinstance(data, dict):
        if "void" in data:
            given = data["void"] if isinstance(data["void"], list) else [data["void"]]
            void = tuple(integer(v, "'void'", path) for v in given)
        palette = data.get("palette", data.get("colors", data.get("colours")))
        data = data.get("id2label", data)
        if isinstance(data, dict) and data and all(key.isdecimal() and isinstance(v, str) for key, v in data.items()):
            return _of_ids([int(key) for key in data], list(data.values()), str(path)), void
        data = data.get("categories", data.get("classes", data.get("names"))) if isinstance(data, dict) else data
    if not isinstance(data, list) or not data:
        raise SegevalError(
            "holds no list of classes",
            file=path,
            remedy="give a list of names, or of objects with id and name, perhaps under 'categories'",
        )
    if all(isinstance(entry, str) for entry in data):
        ids = list(range(len(data)))
        colours = _palette(palette, len(ids), path)
        keep = [i for i in ids if void is None or i not in void]
        chosen = tuple(colours[i] for i in keep) if colours else ()
        return Taxonomy(tuple(keep), tuple(data[i] for i in keep), None, chosen), void
    return taxonomy_of_categories(data, path), void


def _palette(palette: Any, count: int, path: Path) -> tuple[Colour, ...]:
    if palette is None:
        return ()
    if not isinstance(palette, list) or len(palette) < count:
        raise SegevalError(f"has {count} names but no colour for each", file=path, remedy="give one RGB triple a name")
    return tuple(_colour(c, path) for c in palette)


def _colour(value: Any, path: Path) -> Colour:
    if isinstance(value, list) and len(value) == 3 and all(isinstance(v, int) and 0 <= v <= 255 for v in value):
        return value[0], value[1], value[2]
    raise SegevalError(f"{value!r} is no colour", file=path, remedy="give three numbers from 0 to 255")


def taxonomy_of_categories(entries: Any, path: object) -> Taxonomy:
    """The taxonomy of a COCO ``categories`` list.

    Raises
    ------
    SegevalError
        If an entry has no id, or ids repeat.
    """
    if not isinstance(entries, list) or not entries:
        raise SegevalError("has no 'categories'", file=path, remedy="give a truth with its categories")
    ids, names, things, colours = [], [], [], []
    for k, entry in enumerate(entries):
        if not isinstance(entry, dict) or "id" not in entry:
            raise SegevalError(f"category {k} has no id", file=path, remedy="give each category an id and a name")
        ids.append(integer(entry["id"], f"the id of category {k}", path))
        names.append(str(entry.get("name", entry["id"])))
        if "isthing" in entry:
            things.append(
                integer(
                    int(entry["isthing"]) if isinstance(entry["isthing"], bool) else entry["isthing"], "isthing", path
                )
                == 1
            )
        colour = entry.get("color", entry.get("colour"))
        if colour is not None:
            with suppress(SegevalError):  # it moves no number: one that can't be read is made anew
                colours.append(_colour(colour, Path(str(path))))
    if things and len(things) != len(ids):
        raise SegevalError("only some categories have 'isthing'", file=path, remedy="give it to all or none")
    try:
        return Taxonomy(
            tuple(ids), tuple(names), tuple(things) or None, tuple(colours) if len(colours) == len(ids) else ()
        )
    except SegevalError as error:
        raise SegevalError(error.message, file=path, remedy=error.remedy) from None


def read_table(text: str) -> list[tuple[Any, Any]]:
    """The pairs of a JSON object ``{"7": 0}``, a JSON list of pairs, or a two-column CSV, as they stand there.

    A line of headers, ``from,to``, and lines that begin with # are no pairs.

    Raises
    ------
    SegevalError
        If an entry is no pair, or what is mapped is given twice.
    """
    path = Path(text)
    if path.suffix.lower() == ".json":
        # A tuple of the members, so that a key given twice is not lost.
        entries = read_json(path, members=tuple)
        if not isinstance(entries, (tuple, list)):
            raise SegevalError("holds no table", file=path, remedy='write {"7": 0, "8": 1}')
    else:
        try:
            with present(path).open(newline="", encoding="utf-8-sig") as stream:
                entries = [row for row in csv.reader(stream) if row and not row[0].lstrip().startswith("#")]
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            reason = getattr(error, "strerror", None) or error
            raise SegevalError(f"can't be read ({reason})", file=path, remedy="give a JSON or a CSV file") from None
        if entries and [cell.strip().lower() for cell in entries[0]] == ["from", "to"]:
            entries = entries[1:]
    pairs: list[tuple[Any, Any]] = []
    seen: set[str] = set()
    for entry in entries:
        if not isinstance(entry, (tuple, list)) or len(entry) != 2 or any(isinstance(v, (tuple, list)) for v in entry):
            raise SegevalError(f"{entry!r:.60} is no pair", file=path, remedy="give each entry a from and a to")
        what = str(entry[0]).strip()
        if what in seen:
            raise SegevalError(f"maps {what} twice", file=path, remedy="give each value one target")
        seen.add(what)
        _require_range(entry, path)
        pairs.append((entry[0], entry[1]))
    if not pairs:
        raise SegevalError("holds no pair of values", file=path, remedy="give from and to as whole numbers")
    return pairs


def _require_range(entry: Sequence[Any], path: Path) -> None:
    for value, low, high in zip(entry, (-(2**63), -(2**31)), (2**63, 2**32), strict=True):
        try:
            number = int(value)
        except (TypeError, ValueError, OverflowError):
            continue  # a name, or what is told elsewhere
        if not low <= number < high:
            raise SegevalError(f"holds the value {number}", file=path, remedy="give classes below 2^32")


def read_map(text: str) -> tuple[tuple[int, int], ...]:
    """A table of values from what `read_table` reads.

    Raises
    ------
    SegevalError
        If an entry is no pair of whole numbers, or a value is mapped twice.
    """
    path = Path(text)
    pairs: list[tuple[int, int]] = []
    for number, (a, b) in enumerate(read_table(text)):
        try:
            pairs.append((_whole(a), _whole(b)))
        except (ValueError, SegevalError):
            if number == 0 and path.suffix.lower() != ".json":
                continue  # a line of headers
            raise SegevalError(
                f"{(a, b)!r:.60} is no pair of values", file=path, remedy="give from and to as whole numbers"
            ) from None
    if len({a for a, _ in pairs}) != len(pairs):
        raise SegevalError("maps a value twice", file=path, remedy="give each value one target")
    if not pairs:
        raise SegevalError("holds no pair of values", file=path, remedy="give from and to as whole numbers")
    return tuple(pairs)


def _whole(value: Any) -> int:
    if isinstance(value, (str, int)) and not isinstance(value, bool):
        return int(value)
    return integer(value, "a value", None)
