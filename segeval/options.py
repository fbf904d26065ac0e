"""Options, declared once as fields of a dataclass: of how data are read, and of a rule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import Field, field, fields
from types import NoneType
from typing import Any

from segeval.errors import SegevalError


def option(
    default: Any,
    help: str,
    *,
    choices: tuple[str, ...] = (),
    flag: str = "",
    metavar: str = "",
    parse: Callable[[str], Any] = str,
    needs: str = "",
    several: bool = True,
    tasks: tuple[str, ...] = (),
) -> Any:
    """Declare a field once: constructor, command line, signature and JSON all read it from here.

    Parameters
    ----------
    default
        The value when nothing is said; `dataclasses.MISSING` if it must be said. A boolean is a switch.
    help
        One line for the command's help.
    choices
        The words admitted.
    flag
        The command's spelling; the field's name with dashes when empty, and none at all when ``"-"``.
    metavar
        What the help shows for the value.
    parse
        Makes a value of one word of the command line, or None for a word that adds nothing; a `SegevalError`, and a
        ValueError, is a usage error there.
    needs
        The switch without which this option has no effect.
    several
        Whether a field whose default is None or a tuple takes several words.
    tasks
        Those whose data it concerns, for an option of reading; all if empty.
    """
    about = {"help": help, "choices": choices, "flag": flag, "metavar": metavar, "parse": parse, "needs": needs}
    many = several and isinstance(default, (tuple, NoneType))
    return field(default=default, metadata={**about, "several": many, "tasks": tasks})


def options(kind: type) -> dict[str, Field[Any]]:
    """The declared fields of a dataclass that the command offers, by name."""
    return {f.name: f for f in fields(kind) if f.metadata and f.metadata["flag"] != "-"}


def check_choices(made: Any) -> None:
    """Refuse a word that a field does not admit.

    Raises
    ------
    SegevalError
        Naming the words that it admits.
    """
    for name, about in options(type(made)).items():
        admitted = about.metadata["choices"]
        if admitted and getattr(made, name) not in admitted:
            words = " or ".join(filter(None, (", ".join(admitted[:-1]), admitted[-1])))
            raise SegevalError(f"{name}={getattr(made, name)!r} is no choice", remedy=f"give {words}")


def tuples(value: Any) -> Any:
    """A value that went through JSON, its lists tuples again."""
    return tuple(tuples(v) for v in value) if isinstance(value, list) else value
