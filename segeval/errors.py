"""The one error that users meet, the remedy for a mistyped name, and the cautions that travel with a result."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


class SegevalError(Exception):
    """Bad input, told in one line: what is wrong, where, and what to do about it.

    Parameters
    ----------
    message
        What is wrong, with the offending value.
    file
        The file that holds it.
    key
        The image that it concerns.
    remedy
        What the reader of the message can do.
    """

    def __init__(
        self,
        message: str,
        *,
        file: object | None = None,
        key: object | None = None,
        remedy: str | None = None,
    ) -> None:
        self.message = message
        self.file = None if file is None else str(file)
        self.key = None if key is None else str(key)
        self.remedy = remedy
        super().__init__(message)

    def __str__(self) -> str:
        where = []
        if self.file is not None:
            where.append(self.file)
        if self.key is not None and not self._file_names_key():
            where.append(f"image {self.key}")
        text = f"{', '.join(where)}: {self.message}" if where else self.message
        if self.remedy:
            text = f"{text}; {self.remedy}"
        # One line, whatever a file name or a value holds.
        return " ".join(text.split())

    def renamed(self, names: Mapping[str, str]) -> SegevalError:
        """The same error with other words for some, such as an address for the folder that stands for it."""

        def told(text: str | None) -> str | None:
            for word, other in names.items():
                text = text and text.replace(word, other)
            return text

        return SegevalError(told(self.message) or "", file=told(self.file), key=self.key, remedy=told(self.remedy))

    def _file_names_key(self) -> bool:
        """Whether the path ends in the image's key, so that saying both would say it twice."""
        stem = os.path.splitext(self.file or "")[0].replace(os.sep, "/")
        return stem == self.key or stem.endswith(f"/{self.key}")

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (self.message, self.file, self.key, self.remedy))


def _rebuild(message: str, file: str | None, key: str | None, remedy: str | None) -> SegevalError:
    return SegevalError(message, file=file, key=key, remedy=remedy)


def nearest(word: str, known: Iterable[str], otherwise: str = "known are") -> str:
    """The remedy for a name that is not known: the nearest one, or all of them after the words `otherwise`."""
    import difflib

    names = list(known)
    near = difflib.get_close_matches(word, names, 1)
    return f"did you mean {near[0]}?" if near else f"{otherwise} {', '.join(names)}"


@dataclass(frozen=True, order=True)
class Caution:
    """Something a reader of the score should know; `code` is stable, `message` is for people."""

    code: str
    message: str
