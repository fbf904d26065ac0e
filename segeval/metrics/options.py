"""The options of a rule: their values, and the rule as plain ones. They are declared by `segeval.options.option`."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields
from typing import Any

from segeval.errors import SegevalError
from segeval.options import check_choices, option, options, tuples
from segeval.samples.taxonomy import Taxonomy


def void_value(word: str) -> int | None:
    """A void value of the command line; ``none`` says that there is no void."""
    return None if word == "none" else int(word)


def area_range(word: str) -> tuple[str, float, float]:
    """A named range of areas of the command line, ``NAME:LOW:HIGH``."""
    name, low, high = word.rsplit(":", 2)
    return name, float(low), float(high)


def whole_numbers(values: Any, name: str) -> tuple[int, ...]:
    """One number or several, of any integer type, as a tuple.

    Raises
    ------
    SegevalError
        For anything else.
    """
    try:
        several = tuple(values) if isinstance(values, Iterable) else (values,)
        return tuple(operator.index(v) for v in several)
    except TypeError:
        raise SegevalError(f"{name}={values!r} holds no whole number", remedy="give whole numbers") from None


def whole_pairs(values: Any, name: str) -> tuple[tuple[int, int], ...]:
    """A mapping of whole numbers, or rows of two, as rows.

    Raises
    ------
    SegevalError
        For anything else.
    """
    rows = values.items() if isinstance(values, Mapping) else values
    if not isinstance(rows, Iterable):
        raise SegevalError(f"{name}={values!r} holds no pairs", remedy="give pairs of whole numbers")
    pairs = [whole_numbers(row, name) for row in rows]
    if any(len(pair) != 2 for pair in pairs):
        raise SegevalError(f"{name}={values!r} holds no pairs", remedy="give pairs of whole numbers")
    return tuple((a, b) for a, b in pairs)


def real_numbers(values: Any, name: str) -> tuple[float, ...]:
    """One number or several as a tuple of floats.

    Raises
    ------
    SegevalError
        For anything else.
    """
    try:
        several = values if isinstance(values, Iterable) else (values,)
        return tuple(float(v) for v in several)
    except (TypeError, ValueError, OverflowError):
        raise SegevalError(f"{name}={values!r} holds no number", remedy="give numbers") from None


def named_ranges(values: Any, name: str) -> tuple[tuple[str, float, float], ...]:
    """Rows of a name and two ends.

    Raises
    ------
    SegevalError
        For anything else.
    """
    try:
        return tuple((str(label), float(low), float(high)) for label, low, high in values)
    except (TypeError, ValueError, OverflowError):
        raise SegevalError(f"{name}={values!r} holds no ranges", remedy="give rows of name, low, high") from None


def check_options(rule: type, names: Iterable[str]) -> None:
    """Refuse the name of an option that a rule does not have.

    Raises
    ------
    SegevalError
        Naming the options that it has.
    """
    known = {f.name for f in fields(rule)}
    if strange := sorted(set(names) - known):
        raise SegevalError(
            f"{strange[0]!r} is no option of the {rule.task} task",  # type: ignore[attr-defined]
            remedy=f"its options are {', '.join(sorted(known))}",
        )


def rule_to_dict(rule: Any) -> dict[str, Any]:
    """A rule as plain values, for JSON."""
    plain: dict[str, Any] = {"task": rule.task}
    for f in fields(rule):
        value = getattr(rule, f.name)
        plain[f.name] = value.to_dict() if isinstance(value, Taxonomy) else value
    return plain


def rule_from_dict(kind: type, data: Mapping[str, Any]) -> Any:
    """The reverse of `rule_to_dict`; unknown fields are refused."""
    known = {f.name for f in fields(kind)}
    strange = set(data) - known - {"task"}
    if strange:
        raise SegevalError(f"the saved rule has the unknown option {min(strange)!r}", remedy="upgrade segeval")
    values = {name: tuples(value) for name, value in data.items() if name in known}
    if values.get("taxonomy") is not None:
        values["taxonomy"] = Taxonomy.from_dict(data["taxonomy"])
    for f in fields(kind):
        if f.name in values and not _fits(values[f.name], f.default):
            raise SegevalError(f"the saved rule's {f.name} is {values[f.name]!r:.60}", remedy="score again")
    return kind(**values)


def _fits(value: Any, default: Any) -> bool:
    """Whether a saved value is of the kind of a field's default; one of None may be anything."""
    if value is None or default is None or default is MISSING:
        return True
    return type(value) is type(default) or (isinstance(default, float) and type(value) is int)


__all__ = [
    "area_range",
    "check_choices",
    "check_options",
    "named_ranges",
    "option",
    "options",
    "real_numbers",
    "rule_from_dict",
    "rule_to_dict",
    "void_value",
    "whole_numbers",
    "whole_pairs",
]
