"""Reading a suite's TOML: checked whole before anything runs, and wrong in one line."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from segeval.errors import SegevalError, nearest
from segeval_baselines.data.samples import SPLITS
from segeval_baselines.prediction.references import REFERENCES
from segeval_baselines.prediction.watershed import METHODS
from segeval_baselines.recipes import Recipe
from segeval_baselines.suite.form import DataSet, Member, Suite
from segeval_baselines.zoo import architecture, build, preset_of

T = TypeVar("T")

SHIPPED = Path(__file__).parents[1] / "suites"

_PLACE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")


def shipped() -> dict[str, Path]:
    """The suites that come with the package, by name."""
    return {path.stem: path for path in sorted(SHIPPED.glob("*.toml"))}


def read_suite(name: str | Path, given: Iterable[str] = ()) -> Suite:
    """Read a suite and fill its places.

    Parameters
    ----------
    name
        A name of `shipped`, or a TOML file.
    given
        ``NAME=VALUE``: the path that ``${NAME}`` stands for, or another spec for the data set of that name. What isn't
        given is taken from the environment.

    Raises
    ------
    SegevalError
        For a suite that is absent, no TOML, or says something that can't be done, in one line.
    """
    path = shipped().get(str(name), Path(name))
    if not path.is_file():
        raise SegevalError(f"there is no suite {str(name)!r}", remedy=nearest(str(name), shipped()))
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SegevalError(f"is no TOML ({error})", file=path, remedy="see segeval's docs/suites.md") from None
    try:
        return _suite(content, path.stem, _pairs(given))
    except SegevalError as error:
        if error.file is None:
            raise SegevalError(error.message, file=path, remedy=error.remedy) from None
        raise


def _pairs(given: Iterable[str]) -> dict[str, str]:
    found = {}
    for word in given:
        name, equals, value = word.partition("=")
        if not (name and equals and value):
            raise SegevalError(f"{word!r} gives no data", remedy="give --data NAME=PATH")
        found[name] = value
    return found


def _suite(content: Mapping[str, Any], stem: str, given: dict[str, str]) -> Suite:
    known = ("name", "title", "about", "data", "defaults", "member", "references")
    _require_known(content, known, "a suite")
    tables = content.get("data", {})
    if not isinstance(tables, dict) or not tables:
        raise SegevalError("names no data", remedy="add [data.NAME] with a spec")
    used: set[str] = set()
    data = {name: _data_set(name, table, given, used) for name, table in tables.items()}
    if strange := sorted(set(given) - used):
        places = [*data, *(p for t in tables.values() for p in _PLACE.findall(str(t.get("spec", ""))))]
        raise SegevalError(f"the suite has no data {strange[0]!r}", remedy=nearest(strange[0], places))
    defaults = content.get("defaults", {})
    entries = content.get("member", [])
    if not isinstance(defaults, dict) or not isinstance(entries, list) or not entries:
        raise SegevalError("has no members", remedy="add [[member]] with a model")
    members = [_member({**defaults, **entry}, data) for entry in entries]
    members += _references(content.get("references", [*REFERENCES]), members)
    names = [m.name for m in members]
    if twice := sorted({n for n in names if names.count(n) > 1}):
        raise SegevalError(f"has two members {twice[0]!r}", remedy="give one another name")
    name = str(content.get("name", stem))
    return Suite(name, str(content.get("title", name)), str(content.get("about", "")), data, tuple(members))


def _data_set(name: str, table: Any, given: Mapping[str, str], used: set[str]) -> DataSet:
    made = _made(DataSet, {"name": name, **_table(table, f"data.{name}")}, f"data.{name}")
    _require_name(name)
    if made.score not in SPLITS:
        raise SegevalError(f"there is no split {made.score!r}", remedy=f"take {', '.join(SPLITS)}")
    if name in given:
        used.add(name)
        return replace(made, spec=given[name])

    def fill(place: re.Match[str]) -> str:
        word = place.group(1)
        value = given.get(word) or os.environ.get(word)
        if not value:
            raise SegevalError(
                f"where {word} is isn't known", remedy=f"give --data {word}=PATH, or set {word} in the environment"
            )
        used.add(word)
        return value

    return replace(made, spec=_PLACE.sub(fill, made.spec))


def _member(table: Mapping[str, Any], data: Mapping[str, DataSet]) -> Member:
    named = dict(table)
    named.setdefault("name", named.get("model", ""))
    if len(data) == 1:
        named.setdefault("data", next(iter(data)))
    made = _made(Member, named, f"member {named['name']!r}")
    _require_name(made.name)
    if made.data not in data:
        raise SegevalError(f"there is no data {made.data!r}", remedy=nearest(made.data, data))
    if not made.seeds or len(set(made.seeds)) < len(made.seeds) or min(made.seeds) < 0:
        raise SegevalError(f"{made.name} has no usable seeds", remedy="give different whole numbers from 0")
    if made.iterations < 1:
        raise SegevalError(f"{made.name} has no budget", remedy="give iterations of at least 1")
    if made.validations and data[made.data].score == "val":
        text = f"{made.name} would choose its weights on the split that is scored"
        raise SegevalError(text, remedy="give validations = 0, or score test")
    preset_of(made.model, made.preset)
    if made.instances and made.instances not in METHODS:
        raise SegevalError(f"{made.instances!r} separates no instances", remedy=nearest(made.instances, METHODS))
    if made.instances and architecture(made.model).detects:
        raise SegevalError(f"{made.name} finds instances by itself", remedy="leave out instances")
    _require_known(made.recipe, [f.name for f in fields(Recipe)], f"the recipe of {made.name}")
    made.job(data[made.data], made.seeds[0], "cpu")
    _try_build(made)
    return made


def _try_build(member: Member) -> None:
    import torch

    with torch.device("meta"):
        build(member.model, 2, member.preset, member.options)


def _references(names: Any, members: list[Member]) -> list[Member]:
    """The references of each task on each data set that networks are scored on."""
    if not isinstance(names, list):
        raise SegevalError("references are no list", remedy=f"give some of {', '.join(REFERENCES)}")
    for name in names:
        if not isinstance(name, str) or name not in REFERENCES:
            raise SegevalError(f"there is no reference {name!r}", remedy=nearest(str(name), REFERENCES))
    pairs = list(dict.fromkeys((m.task, m.data) for m in members))
    found = []
    for task, data in pairs:
        alone = len([pair for pair in pairs if pair[0] == task]) == 1
        mine = [name for name in names if REFERENCES[name].task == task]
        found += [Member(name if alone else f"{name}-{data}", data, reference=name) for name in mine]
    return found


def _made(kind: type[T], table: Mapping[str, Any], what: str) -> T:
    """A dataclass of a TOML's table; the types are those of the fields' defaults."""
    known = {f.name: f for f in fields(kind)}  # type: ignore[arg-type]
    _require_known(table, list(known), what)
    values = {}
    for name, value in table.items():
        value = tuple(value) if isinstance(value, list) else value
        default = known[name].default
        sample = "" if default is MISSING else () if isinstance(default, tuple) else default
        if known[name].default_factory is not MISSING:
            sample = {}
        if not _fits(value, sample):
            raise SegevalError(f"{name} of {what} can't be {value!r}", remedy=f"give {_kind_of(sample)}")
        values[name] = value
    for name, declared in known.items():
        if name not in values and declared.default is MISSING and declared.default_factory is MISSING:
            raise SegevalError(f"{what} has no {name}", remedy=f"add {name} = ...")
    return kind(**values)


def _fits(value: Any, sample: Any) -> bool:
    if isinstance(sample, bool):
        return isinstance(value, bool)
    if isinstance(sample, float):
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if isinstance(sample, tuple):
        return isinstance(value, tuple) and all(type(v) is int for v in value)
    if sample is None:
        return isinstance(value, (str, int)) and not isinstance(value, bool)
    return type(value) is type(sample)


def _kind_of(sample: Any) -> str:
    kinds = {str: "text", int: "a whole number", float: "a number", bool: "true or false", tuple: "whole numbers"}
    return kinds.get(type(sample), "a table" if isinstance(sample, dict) else "text or a number")


def _table(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise SegevalError(f"{what} is no table", remedy=f"write [{what}]")
    return value


def _require_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise SegevalError(f"{name!r} is no name", remedy="take letters, digits, '-', '_', '+' and '.'")


def _require_known(table: Mapping[str, Any], known: Iterable[str], what: str) -> None:
    known = list(known)
    for name in table:
        if name not in known:
            raise SegevalError(f"{what} has no {name!r}", remedy=nearest(str(name), known))
