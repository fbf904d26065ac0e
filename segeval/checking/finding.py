"""What `check` says, and what a task's part of it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from segeval.results.result import Result
from segeval.samples.pairs import Pair

Level = Literal["error", "warning", "note"]
LEVELS: tuple[Level, ...] = ("error", "warning", "note")

# What was seen in all images: tuples that begin with a kind, such as ("size", side, width, height), and how often.
Seen = Counter[tuple[Any, ...]]


@dataclass(frozen=True)
class Finding:
    """One thing that scoring would meet.

    Parameters
    ----------
    level
        ``error`` (score refuses), ``warning`` (a figure is probably not what was meant) or ``note``.
    code
        Stable, for programs.
    message
        For people: what, where, and what to do about it.
    """

    level: Level
    code: str
    message: str


class Checks(NamedTuple):
    """A task's part: what is counted in each image, and what the counts say.

    `look` must take any pair, also one that the rule refuses. `explain` gets the counts, the rule, and the result if
    there is one.
    """

    look: Callable[[Pair, Any], Iterable[tuple[tuple[Any, ...], int]]]
    explain: Callable[[Seen, Any, Result | None], Iterable[Finding]]


def of_kind(seen: Seen, *head: Any) -> dict[tuple[Any, ...], int]:
    """The counts whose tuples begin so, by the rest of their tuples."""
    n = len(head)
    return {key[n:]: count for key, count in sorted(seen.items(), key=repr) if key[:n] == head}


def listed(values: Iterable[object], most: int = 12) -> str:
    """Some values for a message, and how many more there are."""
    words = [str(v) for v in values]
    more = f" and {len(words) - most} more" if len(words) > most else ""
    return ", ".join(words[:most]) + more if words else "none"


def share(part: int, whole: int) -> str:
    """A percentage that is 0 or 100 only when it is."""
    if not whole:
        return "0 %"
    percent = 100 * part / whole
    if 0 < percent < 0.1:
        return "less than 0.1 %"
    return "more than 99.9 %" if 99.9 < percent < 100 else f"{percent:.3g} %"


def sizes(seen: Seen) -> list[Finding]:
    """A note on the images' sizes."""
    found = sorted(((n, w, h) for (w, h), n in of_kind(seen, "size").items()), reverse=True)
    text = listed((f"{w}x{h} ({n})" for n, w, h in found), 4)
    return [Finding("note", "sizes", f"sizes of the truth (width x height): {text}")] if found else []


def shift_between(pairs: Sequence[tuple[int, int, int]]) -> int | None:
    """The constant by which most predicted ids differ from the truth's, if it isn't 0 and equality is rare.

    Parameters
    ----------
    pairs
        (truth, prediction, weight).
    """
    total = sum(n for _, _, n in pairs)
    by_shift: Counter[int] = Counter()
    for truth, prediction, n in pairs:
        by_shift[prediction - truth] += n
    for shift in (1, -1):
        # More than half agree under the shift, and they are of several classes, so it is no single confusion.
        kinds = {t for t, p, _ in pairs if p - t == shift}
        if 2 * by_shift[shift] > total and by_shift[shift] > 2 * by_shift[0] and len(kinds) > 1:
            return shift
    return None
