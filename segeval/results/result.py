"""The outcome: values, per-class rows, curves and confusion, under the signature that made them."""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from segeval.errors import Caution, SegevalError
from segeval.evidence.tally import Tally
from segeval.evidence.tally_files import DAMAGE
from segeval.results import tables
from segeval.results.figures import FRACTION, Figure
from segeval.results.result_tables import class_table, exact_table, headline_table, interval_table
from segeval.results.signature import Signature
from segeval.results.stored import DamagedRunError, bounds, check_run, plain, undefined
from segeval.results.tables import Table
from segeval.samples.taxonomy import Taxonomy
from segeval.storage.files import write_atomic

if TYPE_CHECKING:
    import pandas

FORMAT = 1  # of result.json


@dataclass(frozen=True, eq=False)
class Result:
    """What a metric makes of a tally; immutable.

    Parameters
    ----------
    task
        ``semantic``, ``instance`` or ``panoptic``.
    signature
        Every convention behind the values.
    images
        How many images were scored.
    values
        Headline figures by name: fractions in [0, 1], NaN where undefined.
    per_class
        One mapping a class: ``id``, ``name`` and the task's figures.
    warnings
        What a reader should know about the values.
    intervals
        Lower and upper bound by the name of the value; empty unless asked for.
    class_intervals
        For each row of `per_class` its ``id`` and the bounds of its figures by name; empty unless asked for.
    interval_signature
        How the bounds were made (`resampling.Interval.signature`), or None.
    curves
        Arrays behind the values (for instances ``precision``, ``recall`` and ``scores`` as pycocotools shapes them).
    confusion
        Pixels by truth class (rows) and predicted class (columns; the last one is "no such class"), or None.
    rule
        The metric's fields, from which it can be made again.
    tally
        The evidence, or None.
    provenance
        Paths and options that made it.
    """

    task: str
    signature: Signature
    images: int
    values: Mapping[str, float]
    per_class: tuple[Mapping[str, Any], ...] = ()
    warnings: tuple[Caution, ...] = ()
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    class_intervals: tuple[Mapping[str, Any], ...] = ()
    interval_signature: Signature | None = None
    curves: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    confusion: NDArray[np.int64] | None = None
    rule: Mapping[str, Any] = field(default_factory=dict)
    tally: Tally | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("values", "intervals", "curves", "rule", "provenance"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))
        for name in ("per_class", "class_intervals"):
            object.__setattr__(self, name, tuple(MappingProxyType(dict(row)) for row in getattr(self, name)))
        for array in (*self.curves.values(), *(() if self.confusion is None else (self.confusion,))):
            array.flags.writeable = False

    def __reduce__(self) -> tuple[Any, ...]:
        """Results travel between processes as what they were made of; read-only views don't."""
        plain = {f.name: getattr(self, f.name) for f in fields(self)}
        plain |= {name: dict(value) for name, value in plain.items() if isinstance(value, MappingProxyType)}
        plain["per_class"] = tuple(dict(row) for row in self.per_class)
        return type(self), tuple(plain.values())

    @cached_property
    def metric(self) -> Any:
        """The rule that made these values (a `segeval.metrics.metric.Metric`), made again from `rule`.

        Raises
        ------
        SegevalError
            If it is of a package that is not installed, or its saved fields are not the rule's.
        """
        # The one call that goes up: a result finds its rule by name, as rules themselves make results.
        return importlib.import_module("segeval.metrics.tasks").saved_rule(dict(self.rule))

    def figure(self, name: str) -> Figure:
        """How a value, or a figure of a class or an image, is read."""
        found: Figure = self.metric.figure(name) if self.rule else FRACTION
        return found

    @property
    def taxonomy(self) -> Taxonomy:
        """The classes in the order of `per_class`, with the colours that the rule knows."""
        ids = tuple(int(row["id"]) for row in self.per_class)
        names = tuple(str(row["name"]) for row in self.per_class)
        rule = self.metric if self.rule else None
        given: Taxonomy | None = None if getattr(rule, "class_agnostic", False) else getattr(rule, "taxonomy", None)
        if given is None or not set(ids) <= set(given.ids):
            return Taxonomy(ids, names)
        at = [given.ids.index(i) for i in ids]
        things = None if given.things is None else tuple(given.things[k] for k in at)
        return Taxonomy(ids, names, things, tuple(given.colours[k] for k in at))

    def __getitem__(self, name: str) -> float:
        return self.values[name]

    def with_(self, **changes: Any) -> Result:
        """A copy with some fields replaced."""
        return replace(self, **changes)

    # ---- to people -------------------------------------------------------------------------------------------

    def tables(self) -> list[Table]:
        """The table of classes, and the headline below it, where a terminal stops scrolling."""
        return [class_table(self), headline_table(self), *([interval_table(self)] if self.intervals else [])]

    def render(self, form: str = "text") -> str:
        """The result as ``text``, ``json``, ``markdown``, ``csv``, ``latex`` or ``html``."""
        if form == "json":
            return self.to_json()
        if form == "csv":
            # One table alone, with exact figures: a spreadsheet rounds by itself.
            return tables.to_csv(exact_table(self))
        if form not in tables.FORMATS:
            raise SegevalError(f"{form!r} is no form", remedy=f"give json or one of {', '.join(tables.FORMATS)}")
        draw = tables.FORMATS[form]
        parts = [draw(t) for t in self.tables() if t.rows]
        sign = self.signature.format()
        signs = [sign] if self.interval_signature is None else [sign, self.interval_signature.format()]
        return "\n\n".join([*parts, *(tables.notes((), [text], form) for text in signs)])

    def __repr__(self) -> str:
        return tables.to_text(headline_table(self)) + "\n" + self.signature.format()

    def _repr_html_(self) -> str:
        return self.render("html")

    def frame(self) -> pandas.DataFrame:
        """The per-class rows as a pandas frame (needs the extra ``segeval[report]``)."""
        import pandas

        return pandas.DataFrame([dict(row) for row in self.per_class])

    # ---- to machines -----------------------------------------------------------------------------------------

    def to_dict(self, prefix: str = "") -> dict[str, float]:
        """The headline values, flat, for an experiment tracker."""
        return {prefix + name: value for name, value in self.values.items()}

    def to_json(self) -> str:
        """The contract of ``segeval score --format json``: one object, undefined values null."""
        return json.dumps(plain(self._public()), indent=1, ensure_ascii=False, allow_nan=False)

    def _public(self) -> dict[str, Any]:
        public = {
            "task": self.task,
            "signature": self.signature.format(),
            "images": self.images,
            "warnings": [{"code": w.code, "message": w.message} for w in self.warnings],
            "values": self.values,
            "intervals": self.intervals,
            "per_class": self.per_class,
        }
        if self.interval_signature is not None:
            public["class_intervals"] = self.class_intervals
            public["interval_signature"] = self.interval_signature.format()
        return public

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write ``result.json``, ``tally.npz`` and, if there are curves, ``curves.npz``; ``result.json`` comes last.

        Raises
        ------
        SegevalError
            If the folder can't be written to.
        """
        target = Path(folder)
        if self.tally is not None:
            self.tally.save(target / "tally.npz")
        if self.curves:
            arrays = dict(self.curves)

            def write(stream: BinaryIO) -> None:
                np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]

            write_atomic(target / "curves.npz", write)
        more = {
            "format": FORMAT,
            **self._public(),
            "confusion": None if self.confusion is None else self.confusion.tolist(),
            "rule": self.rule,
            "provenance": self.provenance,
            "saved": [n for n, there in (("tally", self.tally is not None), ("curves", bool(self.curves))) if there],
        }
        write_atomic(target / "result.json", json.dumps(plain(more), indent=1, ensure_ascii=False, allow_nan=False))
        return target

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> Result:
        """Read what `save` wrote.

        Raises
        ------
        SegevalError
            If a file is absent, truncated, or of a newer version.
        """
        path = Path(folder) / "result.json"
        data = _read_json(path)
        if not isinstance(data, dict) or not isinstance(data.get("format"), int):
            raise SegevalError("is not a saved run", file=path, remedy="give a folder made by score --out")
        if data["format"] > FORMAT:
            raise SegevalError(
                f"run format {data['format']} is newer than this segeval reads ({FORMAT})",
                file=path,
                remedy="upgrade segeval",
            )
        try:
            check_run(data)
        except DamagedRunError as error:
            raise SegevalError(f"damaged run ({error})", file=path, remedy="score again") from None
        return _restore(cls, data, Path(folder))


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SegevalError("no saved run here", file=path, remedy="give a folder made by score --out") from None
    except OSError as error:
        raise SegevalError(f"can't be read ({error.strerror})", file=path, remedy="check the folder") from None
    except (ValueError, RecursionError) as error:  # no JSON, no UTF-8, a number of thousands of digits, deep nesting
        detail = " ".join(str(error).split())[:100]
        raise SegevalError(f"damaged run ({detail})", file=path, remedy="score again") from None


def _restore(cls: type[Result], data: dict[str, Any], folder: Path) -> Result:
    curves: dict[str, NDArray[Any]] = {}
    if "curves" in data["saved"]:
        try:
            with np.load(folder / "curves.npz", allow_pickle=False) as stored:
                curves = {name: stored[name] for name in stored.files}
        except DAMAGE as error:
            where = folder / "curves.npz"
            raise SegevalError(f"damaged curves ({type(error).__name__})", file=where, remedy="score again") from None
    confusion = data["confusion"]
    tally = Tally.load(folder / "tally.npz") if "tally" in data["saved"] else None
    if tally is not None and tally.task != data["task"]:
        raise SegevalError(
            f"the run is of the task {data['task']} and its tally of the task {tally.task}",
            file=folder / "result.json",
            remedy="score again",
        )
    return cls(
        task=data["task"],
        signature=Signature.parse(data["signature"]),
        images=int(data["images"]),
        values=undefined(data["values"]),
        per_class=tuple(undefined(row) for row in data["per_class"]),
        warnings=tuple(Caution(w["code"], w["message"]) for w in data["warnings"]),
        intervals={k: bounds(v) for k, v in data["intervals"].items()},
        class_intervals=tuple(
            {k: v if k == "id" else bounds(v) for k, v in row.items()} for row in data.get("class_intervals", ())
        ),
        interval_signature=Signature.parse(data["interval_signature"]) if "interval_signature" in data else None,
        curves=curves,
        confusion=None if confusion is None else np.array(confusion, np.int64),
        rule=data["rule"],
        tally=tally,
        provenance=data["provenance"],
    )
