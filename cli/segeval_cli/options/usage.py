"""Values and combinations of options that nobody can mean: told as usage errors, exit code 2, before any work."""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from segeval.errors import SegevalError

T = TypeVar("T")


@contextmanager
def as_usage(args: argparse.Namespace) -> Iterator[None]:
    """What the library refuses in here is the fault of an option's value, and not of the data."""
    try:
        yield
    except SegevalError as error:
        args.parser.error(str(error))


def parsed(parse: Callable[[str], T]) -> Callable[[str], T]:
    """A type for argparse: what the library's `parse` makes of a word."""

    @functools.wraps(parse, updated=())
    def made(text: str) -> T:
        try:
            return parse(text)
        except SegevalError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return made


def checked(check: Callable[[str], object]) -> Callable[[str], str]:
    """A type for argparse: the word itself, if the library's `check` takes it."""

    def word(text: str) -> str:
        parsed(check)(text)
        return text

    return word


def at_least(least: int) -> Callable[[str], int]:
    """A type for argparse: a whole number that is not below `least`."""

    def number(text: str) -> int:
        value = int(text)
        if value < least:
            raise argparse.ArgumentTypeError(f"{text} is below {least}")
        return value

    return number


def class_list(text: str) -> str:
    """A type for argparse: a file of classes, which is read later, or their number, which is looked at now."""
    from segeval.readers import classes

    return parsed(classes.class_list)(text)


def require_one_of(args: argparse.Namespace, option: str, names: Iterable[str], known: Iterable[str]) -> None:
    """Refuse names, given by an option, that are not among those that there are."""
    there = list(dict.fromkeys(known))
    for name in names:
        if name not in there:
            args.parser.error(f"{option}: there is no {name!r} in these runs; give one of {', '.join(there)}")
