"""Panoptic segmentation: PQ, SQ and RQ as the COCO panoptic scorer takes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from segeval.errors import Caution, SegevalError
from segeval.evidence.rows import Rows, image_digest, split_iou
from segeval.evidence.tally import Tally, in_order
from segeval.metrics.confusions import Confusions
from segeval.metrics.metric import Metric
from segeval.metrics.options import check_choices, option, rule_to_dict, void_value, whole_numbers
from segeval.metrics.panoptic.confusions import confusions_of
from segeval.metrics.panoptic.figures import COUNTS, figures, summary
from segeval.metrics.panoptic.matching import Matching, Meeting, image_of, match_all, meet
from segeval.metrics.panoptic.near_misses import near_misses
from segeval.metrics.panoptic.quality_loss import QualityLoss, quality_loss
from segeval.metrics.panoptic.reweighting import counts_of
from segeval.metrics.reweighting import ReweightedCounts
from segeval.results.figures import Figure
from segeval.results.result import Result
from segeval.results.signature import Signature
from segeval.results.tables import Table, percent
from segeval.samples.pairs import Pair
from segeval.samples.panoptic import PanopticMap
from segeval.samples.taxonomy import Taxonomy, positions
from segeval.version import __version__

# What `notes` rows count, by position.
NOTES = ("several-crowds", "prediction-empty")


@dataclass(frozen=True)
class PanopticQuality(Metric):
    """Panoptic quality (Kirillov et al., CVPR 2019): PQ = SQ x RQ.

    A predicted and a true segment of one class match where intersection / union > 0.5, the truth's void taken out of
    the union. With the matches TP: SQ = sum of IoU / |TP|, RQ = |TP| / (|TP| + |FP| / 2 + |FN| / 2). A prediction that
    lies for more than half in void or in its class's crowd region is no false positive; crowd regions are never
    missed. The means go over classes with any TP, FP or FN.

    Examples
    --------
    >>> from segeval import Accumulator, PanopticQuality
    >>> seen = Accumulator(PanopticQuality(Taxonomy((1,), ("person",), things=(True,))))
    >>> two = [{"id": 10, "category_id": 1}, {"id": 20, "category_id": 1}]
    >>> seen.update(truth=(np.array([[10, 10, 10, 10, 20]]), two), prediction=(np.array([[10, 10, 10, 0, 0]]), two[:1]))
    >>> result = seen.compute()
    >>> result["SQ"], result["RQ"] == 1 / (1 + 0 / 2 + 1 / 2)
    (0.75, True)
    """

    task: ClassVar[str] = "panoptic"
    headline: ClassVar[str] = "PQ"
    reads: ClassVar[str] = "panoptic"
    title: ClassVar[str] = "Panoptic segmentation"
    class_figures: ClassVar[tuple[str, ...]] = ("PQ", "SQ", "RQ", "tp", "fp", "fn")
    shown: ClassVar[tuple[str, ...]] = ("PQ", "SQ", "RQ", "PQ_th", "PQ_st")
    figures: ClassVar[Mapping[str, Figure]] = {
        "PQ": Figure("panoptic quality: SQ × RQ, mean over classes"),
        "SQ": Figure("segmentation quality: mean IoU of the matches"),
        "RQ": Figure("recognition quality: F1 of the matches"),
    }
    diagnoses: ClassVar[Mapping[type, Callable[[Result], Any]]] = {
        Confusions: confusions_of,
        QualityLoss: quality_loss,
    }

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

    @property
    def takes_counts(self) -> bool:
        """Whether counted overlaps may stand in place of pixels."""
        return True

    def match(self, pair: Pair) -> Matching:
        """Match one image; its id 0 is void (whoever made the map has applied `void`).

        Raises
        ------
        SegevalError
            For sizes that differ, ids that are listed on one side of JSON and PNG only, or unknown classes.
        """
        return match_all([meet(pair)], self._taxonomy())

    def observe(self, pairs: Iterable[Pair]) -> Tally:
        """Match each image and count by class.

        Raises
        ------
        SegevalError
            As `match`.
        """
        taxonomy = self._taxonomy()
        images: list[Meeting] = []
        try:
            images.extend(meet(pair) for pair in pairs)
        except SegevalError:
            match_all(images, taxonomy)  # what is wrong with an earlier image comes first
            raise
        found = match_all(images, taxonomy)
        rows = self._add_up(found)
        tables = {**rows, "notes": _notes(found)}
        choices = [("classes", taxonomy.label()), *self.observing()]
        if self.diagnose:
            tables["poor"] = self._poor(found)
            choices.append(("diagnose", "yes"))
        rule = Signature.of("panoptic", choices).format()
        keys = tuple(image.key for image in images)
        return in_order(Tally("panoptic", rule, keys, _digests(images, found), tables))

    def _poor(self, found: Matching) -> Rows:
        """Segments that overlap poorly, by image and class."""
        poor = [
            (number, c, 1 - side, side)
            for number in range(len(found.begins) - 1)
            for side, classes in enumerate(near_misses(*found.of_image(number)))
            for c in classes.tolist()
        ]
        rows = np.array(sorted(poor), np.int64).reshape(-1, 4)
        cells, at = np.unique(rows[:, :2], axis=0, return_inverse=True)
        counts = np.zeros((len(cells), 2), np.int64)
        np.add.at(counts, at.ravel(), rows[:, 2:])
        ids = np.array(self._taxonomy().ids, np.int64)
        return Rows(
            cells[:, 0].astype(np.int32),
            {"class": ids[cells[:, 1]]},
            {"fn": counts[:, 0].copy(), "fp": counts[:, 1].copy()},
        )

    def _add_up(self, found: Matching) -> dict[str, Rows]:
        taxonomy = self._taxonomy()
        k = len(taxonomy)
        ids = np.array(taxonomy.ids, np.int64)
        truth, prediction = found.truth, found.prediction
        # (image * k + class) * 2 + 1 for what was missed, + 0 for what was invented
        missed, invented = found.truth_state == 2, prediction[2] == 2
        lost = (image_of(found.truth_begins)[missed] * k + truth[1, missed]) * 2 + 1
        wrong = np.concatenate([lost, (image_of(found.prediction_begins)[invented] * k + prediction[1, invented]) * 2])
        # image, truth class, predicted class, intersection, union, same class, excused from being a false positive
        m = np.empty((7, found.matched.shape[1]), np.int64)
        t, p = found.matched[:2]
        m[0], m[1], m[2], m[3:6] = found.matched[5], truth[1, t], prediction[1, p], found.matched[2:5]
        m[6] = prediction[2, p] == 3
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
        at = positions(rows["class"], taxonomy.ids)
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

    def summary(self, result: Result) -> Table:
        """Rows for all classes, things and stuff."""
        rows = []
        for name, tail in (("all", ""), ("things", "_th"), ("stuff", "_st")):
            count = sum(
                row["tp"] + row["fp"] + row["fn"] > 0 and (not tail or row["isthing"] is (tail == "_th"))
                for row in result.per_class
            )
            rows.append((name, *(percent(result.values[k + tail]) for k in ("PQ", "SQ", "RQ")), str(count)))
        return Table(("", "PQ", "SQ", "RQ", "classes"), tuple(rows))

    def reweighted(self, tally: Tally) -> ReweightedCounts:
        """As `Metric.reweighted`."""
        return counts_of(tally.keys, self._taxonomy(), self.sums(tally, per_image=True), self.absent)

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


def _notes(found: Matching) -> Rows:
    """How many crowds do not count, and which images have a prediction without segments."""
    surplus = np.bincount(
        image_of(found.truth_begins), found.truth[2] != found.truth[3], minlength=len(found.begins) - 1
    ).astype(np.int64)
    empty = np.diff(found.prediction_begins) == 0
    image = np.concatenate([np.flatnonzero(surplus), np.flatnonzero(empty)])
    code = np.repeat(np.arange(2), [np.count_nonzero(surplus), np.count_nonzero(empty)])
    count = np.concatenate([surplus[surplus > 0], np.ones(np.count_nonzero(empty), np.int64)])
    order = np.argsort(image, kind="stable")
    return Rows(image[order].astype(np.int32), {"code": code[order]}, {"count": count[order]})


def _digests(images: list[Meeting], found: Matching) -> NDArray[np.uint64]:
    """What stands for each image's truth: size, pixels, and the segments' ids, classes and crowds."""
    columns = np.ascontiguousarray(found.truth[:3].T)
    begins = found.truth_begins.tolist()
    digests = [
        image_digest(image.key, *image.counted.shape, image.counted.crc, columns[low:high].tobytes().hex())
        for image, low, high in zip(images, begins, begins[1:], strict=False)
    ]
    return np.array(digests, np.uint64)


__all__ = ["Matching", "PanopticMap", "PanopticQuality", "figures", "summary"]
