"""Why a PQ will be 0 or undefined."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from segeval.checking.finding import Checks, Finding, Seen, listed, of_kind, share, shift_between, sizes
from segeval.metrics.panoptic.rule import PanopticQuality
from segeval.results.result import Result
from segeval.samples.pairs import Pair
from segeval.samples.panoptic import PanopticMap


def look(pair: Pair, rule: PanopticQuality) -> Iterator[tuple[tuple[Any, ...], int]]:
    """Sizes, segments of each class, crowds, and void pixels of each side."""
    for side, image in (("truth", pair.truth), ("prediction", pair.prediction)):
        assert isinstance(image, PanopticMap)
        pixels = image.pixels
        if side == "truth":
            yield ("size", pixels.shape[1], pixels.shape[0]), 1
        void = ~pixels[..., :3].any(axis=-1) if pixels.ndim == 3 else pixels == 0
        yield ("void", side), int(void.sum())
        yield ("pixels", side), void.size
        segments = image.segments
        yield ("images", side, "some" if len(segments.ids) else "none"), 1
        for class_id, crowd in zip(segments.classes.tolist(), segments.crowd.tolist(), strict=True):
            yield ("crowd" if crowd and side == "truth" else side, class_id), 1


def explain(seen: Seen, rule: PanopticQuality, result: Result | None) -> Iterator[Finding]:
    """Notes on both sides, and the causes of zeros."""
    truth = {class_id: n for (class_id,), n in of_kind(seen, "truth").items()}
    predicted = {class_id: n for (class_id,), n in of_kind(seen, "prediction").items()}
    crowds = sum(of_kind(seen, "crowd").values())
    yield from sizes(seen)
    for side, classes in (("truth", truth), ("prediction", predicted)):
        more = f", and {crowds} crowd regions" if side == "truth" and crowds else ""
        text = f"the {side} holds {sum(classes.values())} segments of {len(classes)} classes{more}"
        yield Finding("note", f"{side}-segments", text)
        pixels, void = (seen[name, side] for name in ("pixels", "void"))
        yield Finding("note", f"{side}-void-share", f"{share(void, pixels)} of the {side}'s pixels are void")
    if not seen["pixels", "truth"]:
        return
    if not truth:
        text = "the truth has no segment but crowds and void: PQ will be undefined, or 0 if anything is predicted"
        yield Finding("warning", "truth-void", f"{text}; check that its segments are listed and painted")
    if not predicted:
        what = "ids of 0 (void) only" if seen["void", "prediction"] == seen["pixels", "prediction"] else "no segment"
        text = f"the prediction holds {what}: everything in the truth is missed and PQ will be 0"
        yield Finding("warning", "prediction-void", f"{text}; number segments from 1, and list them")
    elif empty := seen["images", "prediction", "none"]:
        text = f"{empty} images have a prediction without segments: everything there is missed"
        yield Finding("warning", "prediction-empty", text)
    if truth and predicted:
        yield from _classes(truth, predicted, rule, result)


def _classes(
    truth: dict[int, int], predicted: dict[int, int], rule: PanopticQuality, result: Result | None
) -> Iterator[Finding]:
    assert rule.taxonomy is not None
    names = dict(zip(rule.taxonomy.ids, rule.taxonomy.names, strict=True))

    def named(ids: Iterable[int]) -> str:
        return listed((f"{i} {names[i]}" if names.get(i, str(i)) != str(i) else str(i) for i in sorted(ids)), 8)

    disjoint = not set(truth) & set(predicted)
    if disjoint:
        text = f"truth (categories {named(truth)}) and prediction ({named(predicted)}) share no category"
        yield Finding("warning", "classes-disjoint", f"{text}: PQ will be 0; write the truth's category ids")
    matches = _matches(result)
    shift = shift_between(matches)
    if shift is not None:
        text = f"matching segments have the truth's category {'plus' if shift > 0 else 'minus'} one"
        how = "subtract 1 from" if shift > 0 else "add 1 to"
        yield Finding("warning", "classes-shifted", f"{text}; {how} the predicted category ids")
    elif matches and not disjoint and not any(t == p for t, p, _ in matches):
        text = "segments match in shape, but never in category: PQ will be 0"
        yield Finding(
            "warning", "classes-confused", f"{text}; check the table from the model's classes to category ids"
        )
    if result is not None and not matches:
        text = "no segment overlaps another by more than half of their union: PQ will be 0"
        yield Finding("warning", "no-match", f"{text}; check that prediction and truth show the same image, unflipped")
    missed, invented = set(truth) - set(predicted), set(predicted) - set(truth)
    if missed and not disjoint:
        text = f"{len(missed)} classes are never predicted: their PQ will be 0"
        yield Finding("warning", "classes-missed", f"{text}: {named(missed)}")
    if invented and not disjoint:
        text = f"{len(invented)} classes are predicted but not in the truth: their PQ will be 0, and counts"
        yield Finding("warning", "classes-predicted-only", f"{text}: {named(invented)}")
    absent = set(names) - set(truth) - set(predicted)
    if absent:
        text = f"{len(absent)} classes are in neither truth nor prediction: undefined, and left out of the means"
        yield Finding("note", "classes-absent", f"{text}: {named(absent)}")
    things = rule.taxonomy.things
    for flag, group in ((True, "things"), (False, "stuff")):
        if things is not None and not any(
            thing == flag and i not in absent for i, thing in zip(rule.taxonomy.ids, things, strict=True)
        ):
            tail = "th" if flag else "st"
            yield Finding("warning", f"no-{group}", f"no class of {group} occurs: PQ_{tail} will be undefined")


def _matches(result: Result | None) -> list[tuple[int, int, int]]:
    """Truth class, predicted class and number of the segments that match whatever their class."""
    if result is None or result.tally is None:
        return []
    rows = result.tally.tables["matches"]
    pairs, where = np.unique(np.stack([rows["truth"], rows["prediction"]]), axis=1, return_inverse=True)
    counts = np.zeros(pairs.shape[1], np.int64)
    np.add.at(counts, where.ravel(), rows["matches"])
    return [(int(t), int(p), int(n)) for t, p, n in zip(*pairs, counts, strict=True)]


CHECKS = Checks(look, explain)
