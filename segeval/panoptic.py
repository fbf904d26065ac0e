"""Panoptic segmentation: PQ, SQ and RQ as the COCO panoptic scorer takes them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from segeval.arrays import crc_of
from segeval.errors import Caution, SegevalError
from segeval.metric import check_choices, option, rule_to_dict, void_value, whole_numbers
from segeval.near_misses import near_misses
from segeval.panoptic_figures import figures, summary
from segeval.panoptic_maps import colours, overlaps, require_agreement
from segeval.result import Result
from segeval.rows import Rows, image_digest, split_iou
from segeval.samples import Counted, Key, Pair, PanopticMap, Segments
from segeval.signature import Signature
from segeval.tally import Tally, in_order
from segeval.taxonomy import Taxonomy
from segeval.version import __version__

COUNTS = ("tp", "fp", "fn", "iou_high", "iou_low")

# What `notes` rows count, by position.
NOTES = ("several-crowds", "prediction-empty")


class Matching(NamedTuple):
    """What was decided about one image, before it is added up.

    `matched` holds truth position, predicted position, intersection, union and "same class" by row (5, k).
    """

    matched: NDArray[np.int64]
    truth: NDArray[np.int64]
    prediction: NDArray[np.int64]
    truth_state: NDArray[np.int64]
    overlap: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]


@dataclass(frozen=True)
class PanopticQuality:
    """Panoptic quality (Kirillov et al., CVPR 2019): PQ = SQ x RQ.

    A predicted and a true segment of one class match where intersection / union > 0.5, the truth's void taken out of
    the union. With the matches TP: SQ = sum of IoU / |TP|, RQ = |TP| / (|TP| + |FP| / 2 + |FN| / 2). A prediction that
    lies for more than half in void or in its class's crowd region is no false positive; crowd regions are never
    missed. The means go over classes with any TP, FP or FN.
    """

    task: ClassVar[str] = "panoptic"
    headline: ClassVar[str] = "PQ"

    taxonomy: Taxonomy | None = option(None, "classes: a count, a file of names, or a JSON", flag="-")
    void: tuple[int, ...] | None = option(
        None, "values that are no class, or none (default 0)", metavar="N", parse=void_value
    )
    absent: str = option(
        "skip", "a class in neither truth nor prediction: leave it out, or count 0", choices=("skip", "zero")
    )

    def __post_init__(self) -> None:
        check_choices(self)
        if self.void is not None:
            object.__setattr__(self, "void", tuple(sorted(set(whole_numbers(self.void, "void")))))

    diagnose: bool = option(False, "keep what the analysis of errors needs; moves no number")

    @property
    def void_values(self) -> tuple[int, ...]:
        """The void in force: 0 unless given."""
        return (0,) if self.void is None else self.void

    def observing(self) -> list[tuple[str, str]]:
        """The choices that bear on counting, as they stand in the signature."""
        void = ",".join(map(str, self.void_values)) or "none"
        return [("void", void), ("match", "iou>0.5"), ("crowd", "ignore")]

    def _taxonomy(self) -> Taxonomy:
        if self.taxonomy is None:
            raise SegevalError("panoptic scoring needs to know the classes", remedy="give --classes FILE")
        return self.taxonomy

    def match(self, pair: Pair) -> Matching:
        """Match one image; its id 0 is void (whoever made the map has applied `void`).

        Raises
        ------
        SegevalError
            For sizes that differ, ids that are listed on one side of JSON and PNG only, or unknown classes.
        """
        from segeval.kernels import segments as kernels

        ids, other, pixels = overlaps(pair)
        truth = self._table(pair.truth.segments, "truth", pair.truth_file, pair.key)
        prediction = self._table(pair.prediction.segments, "prediction", pair.prediction_file, pair.key)
        matched, state, unknown = kernels.match(ids, other, pixels, truth, prediction)
        for which, table, side, file in (
            (0, truth, "truth", pair.truth_file),
            (1, prediction, "prediction", pair.prediction_file),
        ):
            require_agreement(int(unknown[which]), table, side, file, pair, which)
        return Matching(matched, truth, prediction, state, (ids, other, pixels))

    def _table(self, segments: Segments, side: str, file: str | None, key: Key) -> NDArray[np.int64]:
        """The (5, n) table that the kernel reads: ids, class positions, crowd, last crowd, room for areas."""
        taxonomy = self._taxonomy()
        ids, classes = segments.ids, segments.classes
        crowd, last = segments.crowd, segments.last_crowd
        table = np.zeros((5, len(ids)), np.int64)
        table[0] = ids
        if taxonomy.ids:
            order, ascending = _lookup(taxonomy)
            at = np.searchsorted(ascending, classes).clip(max=len(ascending) - 1)
            table[1] = order[at]
            unknown = ascending[at] != classes
        else:
            unknown = np.ones(len(ids), bool)
        if unknown.any():
            k = int(np.argmax(unknown))
            raise SegevalError(
                f"the {side}'s segment {int(ids[k])} has category {int(classes[k])}, which is not among the classes",
                file=file,
                key=key,
                remedy=taxonomy.hint(),
            )
        if side == "truth":
            table[2], table[3] = crowd, last
        return table

    def observe(self, pairs: Iterable[Pair]) -> Tally:
        """Match each image and count by class.

        Raises
        ------
        SegevalError
            As `match`.
        """
        taxonomy = self._taxonomy()
        k = len(taxonomy)
        keys: list[Key] = []
        digests: list[int] = []
        events: list[NDArray[np.int64]] = []  # (image * k + class) * 3 + what
        # image, truth class, predicted class, intersection, union, same class, excused from being a false positive
        matches: list[NDArray[np.int64]] = []
        notes: list[tuple[int, int, int]] = []
        poor: list[tuple[int, int, int, int]] = []  # image, class position, missed, invented
        for number, pair in enumerate(pairs):
            found = self.match(pair)
            m, truth, prediction = found.matched, found.truth, found.prediction
            both = np.empty((7, m.shape[1]), np.int64)
            both[0] = number
            both[1], both[2], both[3:6] = truth[1, m[0]], prediction[1, m[1]], m[2:]
            both[6] = prediction[2, m[1]] == 3
            matches.append(both)
            missed, invented = truth[1, found.truth_state == 2], prediction[1, prediction[2] == 2]
            base = number * k
            events += [(base + missed) * 2 + 1, (base + invented) * 2]
            if self.diagnose:
                near = near_misses(found.overlap, truth, prediction, found.truth_state, m)
                for side, classes in enumerate(near):
                    poor += [(number, c, 1 - side, side) for c in classes.tolist()]
            keys.append(pair.key)
            surplus = int((truth[2] != truth[3]).sum())
            if surplus:
                notes.append((number, 0, surplus))
            if not prediction.shape[1]:
                notes.append((number, 1, 1))
            columns = truth[:3].T.tobytes()
            pixels = pair.truth.pixels
            crc = pixels.crc if isinstance(pixels, Counted) else crc_of(colours(pixels))
            digests.append(image_digest(pair.key, *pixels.shape[:2], crc, columns.hex()))
        rows = self._add_up(len(keys), events, matches)
        image, code, count = np.array(notes, np.int64).reshape(-1, 3).T.copy()
        tables = {**rows, "notes": Rows(image.astype(np.int32), {"code": code}, {"count": count})}
        choices = [("classes", taxonomy.label()), *self.observing()]
        if self.diagnose:
            tables["poor"] = self._poor(poor)
            choices.append(("diagnose", "yes"))
        rule = Signature.of("panoptic", choices).format()
        return in_order(Tally("panoptic", rule, tuple(keys), np.array(digests, np.uint64), tables))

    def _poor(self, found: list[tuple[int, int, int, int]]) -> Rows:
        """Segments that overlap poorly, by image and class."""
        rows = np.array(sorted(found), np.int64).reshape(-1, 4)
        cells, at = np.unique(rows[:, :2], axis=0, return_inverse=True)
        counts = np.zeros((len(cells), 2), np.int64)
        np.add.at(counts, at.ravel(), rows[:, 2:])
        ids = np.array(self._taxonomy().ids, np.int64)
        return Rows(
            cells[:, 0].astype(np.int32),
            {"class": ids[cells[:, 1]]},
            {"fn": counts[:, 0].copy(), "fp": counts[:, 1].copy()},
        )

    def _add_up(
        self, images: int, events: list[NDArray[np.int64]], matches: list[NDArray[np.int64]]
    ) -> dict[str, Rows]:
        taxonomy = self._taxonomy()
        k = len(taxonomy)
        ids = np.array(taxonomy.ids, np.int64)
        wrong = np.concatenate(events) if events else np.zeros(0, np.int64)
        m = np.concatenate(matches, axis=1) if matches else np.zeros((7, 0), np.int64)
        true = m[:, m[5] == 1]
        cell = true[0] * k + true[1]
        high, low = split_iou(true[3] / true[4])
        touched, where = np.unique(np.concatenate([cell, wrong >> 1]), return_inverse=True)
        at_true, at_wrong = where[: len(cell)], where[len(cell) :]
        counts = {name: np.zeros(len(touched), np.int64) for name in COUNTS}
        np.add.at(counts["tp"], at_true, 1)
        np.add.at(counts["fp"], at_wrong[wrong & 1 == 0], 1)
        np.add.at(counts["fn"], at_wrong[wrong & 1 == 1], 1)
        np.add.at(counts["iou_high"], at_true, high)
        np.add.at(counts["iou_low"], at_true, low)
        classes = Rows((touched // max(k, 1)).astype(np.int32), {"class": ids[touched % k] if k else touched}, counts)
        pairs, at, number = np.unique((m[0] * k + m[1]) * k + m[2], return_inverse=True, return_counts=True)
        excused = np.zeros(len(pairs), np.int64)
        np.add.at(excused, at, m[6])
        meetings = Rows(
            (pairs // max(k * k, 1)).astype(np.int32),
            {"truth": ids[pairs // k % k], "prediction": ids[pairs % k]}
            if k
            else {"truth": pairs, "prediction": pairs},
            {"matches": number.astype(np.int64), "excused": excused},
        )
        return {"classes": classes, "matches": meetings}

    def sums(self, tally: Tally, per_image: bool) -> dict[str, NDArray[np.int64]]:
        """The counts of each class: (K), or (images, K)."""
        taxonomy = self._taxonomy()
        rows = tally.tables["classes"]
        shape = (len(tally.keys), len(taxonomy)) if per_image else (1, len(taxonomy))
        order, ascending = _lookup(taxonomy)
        at = order[np.searchsorted(ascending, rows["class"])] if len(rows) else np.zeros(0, np.int64)
        image = rows.image if per_image else np.zeros(len(rows), np.int32)
        out = {}
        for name in COUNTS:
            out[name] = np.zeros(shape, np.int64)
            np.add.at(out[name], (image, at), rows[name])
        return out if per_image else {name: v[0] for name, v in out.items()}

    def score(self, tally: Tally) -> Result:
        """PQ, SQ and RQ for all classes, things and stuff."""
        taxonomy = self._taxonomy()
        counts = self.sums(tally, per_image=False)
        classes = figures(counts)
        per_class = [
            {
                "id": taxonomy.ids[k],
                "name": taxonomy.names[k],
                "isthing": None if taxonomy.things is None else taxonomy.things[k],
                **{n: float(classes[n][k]) for n in ("PQ", "SQ", "RQ")},
                **{n: int(counts[n][k]) for n in ("tp", "fp", "fn")},
            }
            for k in range(len(taxonomy))
        ]
        return Result(
            task="panoptic",
            signature=self.signature(tally),
            images=len(tally),
            values={n: float(v) for n, v in summary(classes, taxonomy.things, self.absent).items()},
            per_class=tuple(per_class),
            warnings=tuple(self._cautions(tally)),
            rule=rule_to_dict(self),
            tally=tally,
        )

    def signature(self, tally: Tally) -> Signature:
        """Every choice that moves these numbers."""
        choices: list[tuple[str, object]] = [("classes", self._taxonomy().label()), *self.observing()]
        choices += [("absent", self.absent)]
        choices += [("images", len(tally)), ("truth", tally.digest[:8]), ("segeval", __version__)]
        return Signature.of("PQ", choices)

    def per_image(self, tally: Tally) -> list[dict[str, Any]]:
        """One row an image, lowest PQ first: key, headline values, and tp, fp and fn."""
        taxonomy = self._taxonomy()
        counts = self.sums(tally, per_image=True)
        values = summary(figures(counts), taxonomy.things, self.absent)
        rows = [
            {
                "image": key,
                **{n: float(v[i]) for n, v in values.items()},
                **{n: int(counts[n][i].sum()) for n in ("tp", "fp", "fn")},
            }
            for i, key in enumerate(tally.keys)
        ]
        undefined_last = [(r["PQ"] != r["PQ"], r["PQ"]) for r in rows]
        return [rows[i] for i in sorted(range(len(rows)), key=lambda i: (undefined_last[i], i))]

    def _cautions(self, tally: Tally) -> list[Caution]:
        notes = tally.tables["notes"]
        total = {code: int(notes["count"][notes["code"] == code].sum()) for code in range(len(NOTES))}
        found = tally.cautions()
        if total[0]:
            text = (
                f"{total[0]} crowd regions share image and class with a later one: as officially, only the last counts"
            )
            found.append(Caution(NOTES[0], text))
        if total[1]:
            text = f"{total[1]} of {len(tally)} images have a prediction without segments: everything there is missed"
            found.append(Caution(NOTES[1], text))
        return found


def _lookup(taxonomy: Taxonomy) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    ids = np.array(taxonomy.ids, np.int64)
    order = np.argsort(ids, kind="stable")
    return order, ids[order]


__all__ = ["Matching", "PanopticMap", "PanopticQuality", "figures", "summary"]
