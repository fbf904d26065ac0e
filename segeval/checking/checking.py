"""What scoring would meet, without scores: every bad image, and why figures will be 0 or undefined."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from segeval.checking import instance, panoptic, semantic
from segeval.checking.finding import LEVELS, Checks, Finding, Seen, listed
from segeval.errors import Caution, SegevalError
from segeval.evidence.tally import Tally, merge
from segeval.metrics.instance.rule import InstanceAP
from segeval.metrics.metric import Metric
from segeval.metrics.panoptic.rule import PanopticQuality
from segeval.metrics.semantic.rule import SemanticIoU
from segeval.readers.fetching import task_at
from segeval.readers.pairing import PairedSource
from segeval.readers.protocol import Source
from segeval.readers.reading import Place, Reading, takes_reading
from segeval.results.result import Result
from segeval.results.tables import printable
from segeval.samples.pairs import Key
from segeval.scoring import evaluation
from segeval.scoring.evaluation import Progress
from segeval.scoring.opening import open_data
from segeval.storage.mounts import spoken, told_by_address
from segeval.threads import mapped

# The first that a rule is an instance of; the rule of a package may derive from one of ours.
CHECKS: tuple[tuple[type[Metric], Checks], ...] = (
    (SemanticIoU, semantic.CHECKS),
    (PanopticQuality, panoptic.CHECKS),
    (InstanceAP, instance.CHECKS),
)

# Cautions that are no reason for a second look.
_NOTES = (
    *("void-by-default", "classes-inferred", "things-inferred", "one-class", "area-computed"),
    *("files-left-out", "tiff-overviews"),
)

_TITLES = {"error": "errors: score would stop", "warning": "warnings", "note": "notes"}


@dataclass(frozen=True)
class CheckReport:
    """What `check` found.

    Parameters
    ----------
    task
        The task, or None if it couldn't be told.
    images
        How many images would be scored.
    findings
        Errors first, then warnings, then notes.
    """

    task: str | None
    images: int
    findings: tuple[Finding, ...]

    @property
    def fine(self) -> bool:
        """Whether `score` would succeed."""
        return not any(f.level == "error" for f in self.findings)

    def render(self, form: Literal["text", "json"] = "text") -> str:
        """For a person, or one JSON object."""
        if form == "json":
            plain = [{"level": f.level, "code": f.code, "message": f.message} for f in self.findings]
            whole = {"task": self.task, "images": self.images, "fine": self.fine, "findings": plain}
            return json.dumps(whole, indent=1, ensure_ascii=False)
        lines = []
        for level in LEVELS:
            found = [f for f in self.findings if f.level == level]
            if found:
                lines += ["", _TITLES[level], *(f"  {printable(f.message)}" for f in found)]
        outcome = "score would run" if self.fine else "score would stop with an error"
        head = f"{self.task or 'no task'}: {self.images} images to score; {outcome}"
        return "\n".join([head, *lines])


@dataclass
class _Found:
    """Findings on the way, similar errors together."""

    findings: list[Finding] = field(default_factory=list)
    refused: dict[str, list[SegevalError]] = field(default_factory=dict)

    def refuse(self, code: str, error: SegevalError) -> None:
        # Two messages that differ in numbers only are one kind of error.
        kind = code + re.sub(r"\d+", "#", error.message)
        self.refused.setdefault(kind, []).append(error)

    def errors(self) -> Iterable[Finding]:
        for kind, errors in self.refused.items():
            code = kind.split(" ", 1)[0]
            text = str(errors[0])
            if len(errors) > 1:
                others = listed((e.file or e.key for e in errors[1:]), 3)
                text += f" ({len(errors)} images in all; also {others})"
            yield Finding("error", code, text)


@takes_reading
@told_by_address
def check(
    pred: Place,
    gt: Place,
    *,
    task: str | None = None,
    progress: Progress | None = None,
    workers: int | None = None,
    **options: Any,
) -> CheckReport:
    """Say what `segeval.score` would meet with the same arguments; it goes on after an error.

    Parameters
    ----------
    pred, gt, task, workers, progress, **options
        As for `segeval.score`: the fields of `segeval.readers.reading.Reading` and of the rule.

    Returns
    -------
    report
        Without errors exactly if `score` would succeed.
    """
    found = _Found()
    try:
        reading, chosen = Reading.among(pred, gt, options)
        task = task or task_at(gt, reading.gt_suffix)
        opened = _opened(reading, task, chosen, found)
    except SegevalError as error:
        found.refuse("input ", error)
        opened = None
    if opened is None:
        return CheckReport(task, 0, tuple(found.errors()))
    source, rule = opened
    keys = list(source.keys())
    if not keys:
        found.refuse("input ", SegevalError("no image to score", remedy="check the folders, or --missing"))
    seen, tally = _look(source, rule, keys, found, workers, progress)
    cautions: list[Caution] = [*source.cautions, *source.notes(getattr(rule, "void_values", ()))]
    result: Result | None = None
    if tally is not None:
        try:
            result = rule.score(tally)
            cautions += result.warnings
        except SegevalError as error:
            found.refuse("rule ", error)
    causes = list(_checks(rule).explain(seen, rule, result))
    told = {f.code for f in causes}
    for caution in cautions:
        if caution.code not in told:
            level: Any = "note" if caution.code in _NOTES else "warning"
            causes.append(Finding(level, caution.code, caution.message))
    whole = [*found.errors(), *causes]
    return CheckReport(task, len(keys), tuple(f for level in LEVELS for f in whole if f.level == level))


def _checks(rule: Metric) -> Checks:
    """A rule's part; that of a package may have none."""
    none = Checks(lambda pair, rule: (), lambda seen, rule, result: ())
    return next((checks for kind, checks in CHECKS if isinstance(rule, kind)), none)


def _opened(reading: Reading, task: str, options: dict[str, Any], found: _Found) -> tuple[PairedSource, Metric] | None:
    """Source and rule; where the pairing fails, those of the pairs that there are."""
    try:
        return open_data(reading, task, options)
    except SegevalError as error:
        found.refuse("input ", error)
        if reading.missing != "error":
            return None
    try:
        source, rule = open_data(replace(reading, missing="skip"), task, options)
    except SegevalError as error:
        if str(error) not in {str(e) for errors in found.refused.values() for e in errors}:
            found.refuse("input ", error)
        return None
    # What is missing was an error above, and needs no caution; the error names one side only.
    for caution in source.cautions:
        if caution.code in ("prediction-missing", "prediction-extra"):
            text = caution.message.removesuffix(" (left out)").removesuffix(" (ignored)")
            if not any(text in e.message for errors in found.refused.values() for e in errors):
                found.refuse("input ", SegevalError(text, remedy="remove them, or give --missing skip"))
    return source, rule


def _look(
    source: Source, rule: Metric, keys: Sequence[Key], found: _Found, workers: int | None, progress: Progress | None
) -> tuple[Seen, Tally | None]:
    """Read every image; count what is in it, and observe it as `score` would."""
    checks = _checks(rule)

    def look(chunk: Sequence[Key]) -> tuple[Seen, list[Tally], list[SegevalError]]:
        seen: Seen = Counter()
        tallies, errors = [], []
        for key in chunk:
            try:
                pair = source.load(key)
                for what, count in checks.look(pair, rule):
                    seen[what] += count
                tallies.append(rule.observe([pair]))
            except SegevalError as error:
                errors.append(spoken(error, getattr(source, "mounts", ())))
        return seen, [merge(tallies)] if tallies else [], errors

    chunks = [keys[i : i + evaluation.CHUNK] for i in range(0, len(keys), evaluation.CHUNK)]
    whole: Seen = Counter()
    tallies: list[Tally] = []
    done = 0
    for chunk, (seen, observed, errors) in zip(chunks, mapped(look, chunks, workers) if chunks else [], strict=True):
        whole += seen
        tallies += observed
        for error in errors:
            found.refuse("image ", error)
        done += len(chunk)
        if progress:
            progress(done, len(keys))
    return whole, merge(tallies) if tallies else None
