"""How data are read: each option of it is one field of `Reading`, which goes wherever data are opened."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass
from pathlib import Path
from typing import Any, TypeVar

from segeval.errors import SegevalError
from segeval.options import check_choices, option, options, tuples
from segeval.readers.classes import class_list
from segeval.readers.formats import FORMATS, format_of
from segeval.readers.pairing import MISSING as POLICIES
from segeval.samples.taxonomy import Taxonomy
from segeval.storage.remote import is_address

Place = str | os.PathLike[str]
Classes = Taxonomy | int | str | Sequence[str] | os.PathLike[str] | None
F = TypeVar("F", bound=Callable[..., Any])

_NAMES = f"{', '.join(FORMATS)}, or a package's"


def format_name(word: str) -> str:
    """The name of a format, as it is given.

    Raises
    ------
    SegevalError
        Suggesting the nearest name.
    """
    format_of(word)
    return word


@dataclass(frozen=True)
class Reading:
    """Where truth and predictions lie, and how they are read.

    A field is a keyword of `segeval.score` and `segeval.checking.checking.check`, an option of the command, and part of
    what a run records, by which a report reads the files again. A new option is one field here; what opens a format
    finds it in `segeval.readers.protocol.Side`.

    Parameters
    ----------
    pred, gt
        A folder, a file or an address; the format is recognised.
    classes
        A taxonomy, a count, names, or a file (see `segeval.readers.classes.read_classes`). If None, those of the truth.
    missing
        ``error``, ``skip`` or ``empty``: what to do with truths without a prediction.
    pred_format, gt_format
        Force a format (a name of `segeval.readers.formats.FORMATS`, or of one that a package brings).
    pred_suffix, gt_suffix
        Read only files whose names end so.

    Raises
    ------
    SegevalError
        For a word that a field does not admit.
    """

    pred: Place = option(MISSING, "predictions: a folder or a file", metavar="PATH")
    gt: Place = option(MISSING, "truth: a folder or a file", metavar="PATH")
    classes: Classes = option(
        None,
        "a count, a text file of names, or a JSON (default: the truth's)",
        metavar="FILE|N",
        parse=class_list,
        several=False,
    )
    missing: str = option("error", "truths without a prediction", choices=POLICIES)
    pred_format: str | None = option(
        None, f"force the format of the predictions: {_NAMES}", metavar="NAME", parse=format_name, several=False
    )
    gt_format: str | None = option(
        None, f"force the format of the truth: {_NAMES}", metavar="NAME", parse=format_name, several=False
    )
    pred_suffix: str = option("", "only predictions whose names end so", metavar="TEXT")
    gt_suffix: str = option("", "only truth whose names end so", metavar="TEXT")

    def __post_init__(self) -> None:
        check_choices(self)

    @classmethod
    def among(cls, pred: Place, gt: Place, keywords: Mapping[str, Any]) -> tuple[Reading, dict[str, Any]]:
        """The reading that keywords ask for, and the keywords that are none of its fields."""
        own = {name: value for name, value in keywords.items() if name in _CHOSEN}
        return cls(pred, gt, **own), {name: value for name, value in keywords.items() if name not in own}

    @classmethod
    def of_run(cls, provenance: Mapping[str, Any], classes: Classes) -> Reading:
        """The reading of a run, from what it recorded and the classes that its rule knows.

        Raises
        ------
        SegevalError
            If the run was not made of files.
        """
        if not {"pred", "gt"} <= provenance.keys():
            raise SegevalError("the run does not say where its files are", remedy="score from paths")
        recorded = provenance.get("options", {})
        own = {name: tuples(recorded[name]) for name in _RECORDED if name in recorded}
        return cls(str(provenance["pred"]), str(provenance["gt"]), classes, **own)

    def require_use(self, task: str) -> None:
        """Refuse an option that says nothing about a task's data, and was therefore meant for others.

        Raises
        ------
        SegevalError
            Naming the tasks whose data it concerns.
        """
        for name, about in options(type(self)).items():
            tasks = about.metadata["tasks"]
            if tasks and task not in tasks and getattr(self, name) != about.default:
                remedy = f"leave it out: it says how {' and '.join(tasks)} data are read"
                raise SegevalError(f"{name} is no option of the {task} task", remedy=remedy)

    def recorded(self) -> dict[str, Any]:
        """What a run records of it as options; its places are recorded beside them, and its rule knows the classes."""
        return {name: getattr(self, name) for name in _RECORDED}

    def places(self) -> dict[str, str]:
        """Where the sides lie, whatever the working folder."""
        found = {"pred": self.pred, "gt": self.gt}
        return {side: os.fspath(p) if is_address(p) else str(Path(p).resolve()) for side, p in found.items()}

    def of(self, side: str, name: str) -> Any:
        """An option that each side has for itself: ``format`` of ``truth`` is `gt_format`."""
        return getattr(self, f"{'gt' if side == 'truth' else 'pred'}_{name}")


_CHOSEN = tuple(name for name in options(Reading) if name not in ("pred", "gt"))
_RECORDED = tuple(name for name in _CHOSEN if name != "classes")


def takes_reading(function: F) -> F:
    """Show the fields of `Reading` in the signature of a function that takes them among its keywords."""
    signature = inspect.signature(function)
    *before, last = signature.parameters.values()
    shown = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=about.default, annotation=about.type)
        for name, about in options(Reading).items()
        if name in _CHOSEN
    ]
    function.__signature__ = signature.replace(parameters=[*before, *shown, last])  # type: ignore[attr-defined]
    return function
