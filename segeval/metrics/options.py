"""The fields of a rule, declared once: constructor, command line, signature and JSON."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import Field, field, fields
from typing import Any

from segeval.errors import SegevalError
from segeval.samples.taxonomy import Taxonomy


def void_value(word: str) -> int | None:
    """A void value of the command line; ``none`` says that there is no void."""
    return None if word == "none" else int(word)


def area_range(word: str) -> tuple[str, float, float]:
    """A named range of areas of the command line, ``NAME:LOW:HIGH``."""
    name, low, high = word.rsplit(":", 2)
    return name, float(low), float(high)


def option(
    default: Any,
    help: str,
    *,
    choices: tuple[str, ...] = (),
    flag: str = "",
    metavar: str = "",
    parse: Callable[[str], Any] = str,
    needs: str = "",
) -> Any:
    """Declare a field of a rule once: constructor, command line, signature and JSON all read it from here.

    Parameters
    ----------
    default
        The value when nothing is said. A boolean is a switch; a field of tuples takes several words.
    help
        One line for the command's help.
    choices
        The words admitted.
    flag
        The command's spelling; the field's name with dashes when empty, and none at all when ``"-"``.
    metavar
        What the help shows for the value.
    parse
        Makes a value of one word of the command line, or None for a word that adds nothing.
    needs
        The switch without which this option has no effect.
    """
    about = {"help": help, "choices": choices, "flag": flag, "metavar": metavar, "parse": parse, "needs": needs}
    return field(default=default, metadata=about)


def options(rule: type) -> dict[str, Field[Any]]:
    """The declared fields of a rule that the command offers, by name."""
    return {f.name: f for f in fields(rule) if f.metadata and f.metadata["flag"] != "-"}


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
    except (TypeError, ValueError):
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
    except (TypeError, ValueError):
        raise SegevalError(f"{name}={values!r} holds no ranges", remedy="give rows of name, low, high") from None


def check_choices(rule: Any) -> None:
    """Refuse a word that a field does not admit.

    Raises
    ------
    SegevalError
        Naming the words that it admits.
    """
    for name, about in options(type(rule)).items():
        admitted = about.metadata["choices"]
        if admitted and getattr(rule, name) not in admitted:
            raise SegevalError(f"{name}={getattr(rule, name)!r} is no choice", remedy=f"give {' or '.join(admitted)}")


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
    values = {name: _tuples(value) for name, value in data.items() if name in known}
    if values.get("taxonomy") is not None:
        values["taxonomy"] = Taxonomy.from_dict(data["taxonomy"])
    return kind(**values)


def _tuples(value: Any) -> Any:
    return tuple(_tuples(v) for v in value) if isinstance(value, list) else value
