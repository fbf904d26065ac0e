"""The conventions behind a number, in one line that can be printed, parsed and compared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from segeval.errors import SegevalError

# Shown, but not part of the question "was the same thing measured?": a truth digest already covers its images,
# and another version is a caution rather than a difference.
NOT_COMPARED = ("images", "segeval")

_IN_VALUES = "%|\n\r"
_IN_KEYS = "%|:\n\r"


def _escape(text: str, special: str) -> str:
    return "".join(f"%{ord(c):02X}" if c in special else c for c in text)


def _unescape(text: str) -> str:
    head, *rest = text.split("%")
    try:
        return head + "".join(chr(int(part[:2], 16)) + part[2:] for part in rest)
    except ValueError:
        raise SegevalError(
            f"signature holds a bad escape in {text!r}", remedy="paste the whole line as it was printed"
        ) from None


@dataclass(frozen=True)
class Signature:
    """Each choice that moves a number, in a fixed order.

    Parameters
    ----------
    metric
        The headline that it belongs to: ``mIoU``, ``PQ`` or ``AP``.
    choices
        Pairs of key and value; keys are unique.

    Examples
    --------
    >>> s = Signature("PQ", (("void", "0"), ("match", "iou>0.5")))
    >>> s.format()
    'PQ|void:0|match:iou>0.5'
    >>> Signature.parse(s.format()) == s
    True
    """

    metric: str
    choices: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        keys = [key for key, _ in self.choices]
        if len(set(keys)) != len(keys):
            raise SegevalError(f"signature names a choice twice: {keys}")

    @classmethod
    def of(cls, metric: str, choices: Mapping[str, object] | Iterable[tuple[str, object]]) -> Signature:
        """A signature of anything printable."""
        pairs = choices.items() if isinstance(choices, Mapping) else choices
        return cls(metric, tuple((key, str(value)) for key, value in pairs))

    def format(self) -> str:
        """The one-line form: ``metric|key:value|...``."""
        parts = [_escape(self.metric, _IN_KEYS)]
        parts += [f"{_escape(key, _IN_KEYS)}:{_escape(value, _IN_VALUES)}" for key, value in self.choices]
        return "|".join(parts)

    __str__ = format

    @classmethod
    def parse(cls, text: str) -> Signature:
        """Read the one-line form back; ``parse(s.format()) == s``.

        Raises
        ------
        SegevalError
            If a part has no colon, or an escape is broken.
        """
        metric, *parts = text.split("|")
        choices = []
        for part in parts:
            key, colon, value = part.partition(":")
            if not colon:
                raise SegevalError(
                    f"signature part {part!r} has no ':'", remedy="paste the whole line as it was printed"
                )
            choices.append((_unescape(key), _unescape(value)))
        return cls(_unescape(metric), tuple(choices))

    def get(self, key: str) -> str | None:
        """The value of one choice, or None."""
        return dict(self.choices).get(key)

    def difference(self, other: Signature) -> tuple[str, ...]:
        """The keys in which two measurements differ, ``metric`` among them; versions and counts are left out."""
        mine, theirs = dict(self.choices), dict(other.choices)
        keys = [key for key in {**mine, **theirs} if key not in NOT_COMPARED]
        changed = tuple(key for key in keys if mine.get(key) != theirs.get(key))
        return changed if self.metric == other.metric else ("metric", *changed)
