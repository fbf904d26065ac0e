"""Instance segmentation and detection: average precision and recall as COCO defines them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from segeval.errors import Caution, SegevalError
from segeval.evidence.tally import Tally, in_order
from segeval.metrics.instance.errors import ErrorCosts, ThresholdCurve, error_costs, threshold_curve
from segeval.metrics.instance.figures import Axes, best_cut, curves_of, mean_of, values_of
from segeval.metrics.instance.matching import CHUNK, Observed, Terms, image_digests, observe_chunk, tables_of
from segeval.metrics.instance.reweighting import ReweightedDetections, detections_of
from segeval.metrics.metric import Metric
from segeval.metrics.options import area_range, named_ranges, option, real_numbers, rule_to_dict, whole_numbers
from segeval.results.figures import Figure
from segeval.results.result import Result
from segeval.results.signature import Signature
from segeval.results.tables import Table, percent
from segeval.samples.decoding import Runs
from segeval.samples.instances import Instances
from segeval.samples.masks import as_instances
from segeval.samples.pairs import Key, Pair
from segeval.samples.taxonomy import Taxonomy, positions
from segeval.version import __version__

# The official scorer's own expressions: their last bits decide who reaches a threshold.
IOU_THRESHOLDS = tuple(np.linspace(0.5, 0.95, 10).tolist())
ALL_AREAS = (0.0, 1e10)
AREA_RANGES = (("s", 0.0, 1024.0), ("m", 1024.0, 9216.0), ("l", 9216.0, 1e10))
MOST_THRESHOLDS = 64
# Ranks are kept in 32 bits.
MOST_DETECTIONS = 2**31 - 1


@dataclass(frozen=True)
class InstanceAP(Metric):
    """Average precision over classes, IoU thresholds and recall levels (Lin et al. 2014, the COCO evaluation).

    Within an image and class detections in descending order of score take, at each IoU threshold, the free truth of
    the largest IoU that reaches it. A crowd may be taken often and divides the intersection by the detection's own
    area; detections on crowds or outside an area range are ignored. Precision at a recall level is the largest one at
    that recall or beyond; AP is its mean over 101 levels, AR the largest recall, both averaged over thresholds and over
    the classes that have truth.

    Examples
    --------
    >>> from segeval import Accumulator, InstanceAP
    >>> seen = Accumulator(InstanceAP(Taxonomy.of(["cat"]), iou="bbox"))
    >>> found = {"boxes": [[0, 0, 10, 7], [50, 50, 10, 10]], "scores": [0.9, 0.2]}
    >>> seen.update(truth={"boxes": [[0, 0, 10, 10]]}, prediction=found)
    >>> result = seen.compute()
    >>> round(result["AP50"], 3), result["AP75"]  # the first box has an IoU of 0.7
    (1.0, 0.0)
    """

    task: ClassVar[str] = "instance"
    headline: ClassVar[str] = "AP"
    reads: ClassVar[str] = "instance"
    title: ClassVar[str] = "Instance segmentation"
    class_figures: ClassVar[tuple[str, ...]] = ("AP", "AP50", "AP75")
    shown: ClassVar[tuple[str, ...]] = ("AP", "AP50", "AP75", "APs", "APm", "APl")
    image_figure: ClassVar[str] = "F1"
    figures: ClassVar[Mapping[str, Figure]] = {
        "AP": Figure("average precision over IoU 0.50 to 0.95"),
        "AP50": Figure("average precision at IoU 0.50"),
        "AP75": Figure("average precision at IoU 0.75"),
    }
    diagnoses: ClassVar[Mapping[type, Callable[[Result], Any]]] = {
        ErrorCosts: error_costs,
        ThresholdCurve: threshold_curve,
    }
    # An image takes a twentieth of a millisecond, so that adding up small chunks would show.
    chunks_at_once: ClassVar[int] = 16

    taxonomy: Taxonomy | None = option(None, "classes: a count, a file of names, or a JSON", flag="-")
    iou: str = option("segm", "overlap of masks or of boxes", choices=("segm", "bbox"))
    max_dets: tuple[int, ...] = option(
        (1, 10, 100), "detections that count in an image and class; AP takes the largest", metavar="N", parse=int
    )
    area_ranges: tuple[tuple[str, float, float], ...] = option(
        AREA_RANGES,
        "named ranges of the truth's area in pixels, both ends included",
        metavar="NAME:LOW:HIGH",
        parse=area_range,
    )
    iou_thresholds: tuple[float, ...] = option(
        IOU_THRESHOLDS, "IoU thresholds that AP averages over", metavar="T", parse=float
    )
    class_agnostic: bool = option(False, "match without regard to classes")
    protocol: str = option("default", "pycocotools: with that scorer's defects", choices=("default", "pycocotools"))
    diagnose: bool = option(False, "keep what the analysis of errors needs; moves no number")

    def __post_init__(self) -> None:
        thresholds = real_numbers(self.iou_thresholds, "iou_thresholds")
        ordered = all(a < b for a, b in itertools.pairwise(thresholds))
        if not thresholds or not ordered or not thresholds[0] > 0 or not thresholds[-1] <= 1:
            raise SegevalError(f"IoU thresholds {thresholds}", remedy="give ascending numbers above 0, up to 1")
        if len(thresholds) > MOST_THRESHOLDS:
            raise SegevalError(f"{len(thresholds)} IoU thresholds", remedy=f"give at most {MOST_THRESHOLDS}")
        counts = tuple(sorted(set(whole_numbers(self.max_dets, "max_dets"))))
        if not counts or counts[0] < 1 or counts[-1] > MOST_DETECTIONS:
            raise SegevalError(f"max_dets {self.max_dets}", remedy=f"give counts from 1 to {MOST_DETECTIONS}")
        ranges = named_ranges(self.area_ranges, "area_ranges")
        names = [name for name, _, _ in ranges]
        for name, low, high in ranges:
            if not 0 <= low <= high or names.count(name) > 1 or name == "all" or not name.isidentifier():
                raise SegevalError(
                    f"area range {name}:{low:g}:{high:g}",
                    remedy="give distinct names, letters first and not 'all', and 0 <= low <= high",
                )
        for field, value in (("iou_thresholds", thresholds), ("max_dets", counts), ("area_ranges", ranges)):
            object.__setattr__(self, field, value)
        for field, known in (("iou", ("segm", "bbox")), ("protocol", ("default", "pycocotools"))):
            if getattr(self, field) not in known:
                raise SegevalError(f"{field} {getattr(self, field)!r}", remedy=f"give {' or '.join(known)}")

    @property
    def _terms(self) -> Terms:
        ranges = np.array([ALL_AREAS, *((low, high) for _, low, high in self.area_ranges)])
        return Terms(
            self.iou == "segm",
            self.max_dets[-1],
            np.array(self.iou_thresholds),
            ranges,
            self.class_agnostic,
            self.protocol == "pycocotools",
            self.diagnose,
        )

    def observing(self) -> list[tuple[str, str]]:
        """The choices that bear on matching, as they stand in the signature."""
        thresholds = "0.5:0.95:0.05" if self.iou_thresholds == IOU_THRESHOLDS else _listed(self.iou_thresholds)
        areas = ",".join(f"{name}={low:g}-{high:g}" for name, low, high in self.area_ranges)
        choices = [("iou", self.iou), ("thresholds", thresholds), ("areas", areas or "all")]
        choices.append(("max-dets", _listed(self.max_dets)))
        if self.class_agnostic:
            choices.append(("class-agnostic", "yes"))
        return [*choices, ("protocol", self.protocol)]

    def observe(self, pairs: Iterable[Pair]) -> Tally:
        """Match each image's detections with its truths.

        Truth and prediction of a pair are `Instances`, or what `segeval.samples.masks.as_instances` takes.

        Raises
        ------
        SegevalError
            For a mask or box that is absent or can't be decoded, or a score that is not finite.
        """
        terms, runs = self._terms, Runs()
        keys: list[Key] = []
        digests: list[NDArray[np.uint64]] = [np.zeros(0, np.uint64)]
        chunks: list[Observed] = []
        firsts: list[int] = []
        most = CHUNK if terms.masks else 4 * CHUNK
        for chunk in _chunks((_ready(pair) for pair in pairs), most):
            observed = observe_chunk(chunk, terms, runs)
            digests.append(image_digests([(p.key, p.truth.height, p.truth.width) for p in chunk], observed.hashes))
            firsts.append(len(keys))
            keys.extend(pair.key for pair in chunk)
            chunks.append(observed)
        label = "inferred" if self.taxonomy is None else self.taxonomy.label()
        choices = [("classes", label), *self.observing(), *([("diagnose", "yes")] if self.diagnose else [])]
        rule = Signature.of("instance", choices).format()
        tables = tables_of(chunks, firsts, terms)
        return in_order(Tally("instance", rule, tuple(keys), np.concatenate(digests), tables))

    def taxonomy_of(self, tally: Tally) -> Taxonomy:
        """The classes given, or else those that the truth holds."""
        if self.class_agnostic:
            return Taxonomy((0,), ("all classes",))
        if self.taxonomy is not None:
            return self.taxonomy
        return Taxonomy(tuple(np.unique(tally.tables["truths"]["class"]).tolist()))

    @property
    def axes(self) -> Axes:
        """What the curves and the values are spread over."""
        areas = tuple(name for name, _, _ in self.area_ranges)
        return Axes(self.iou_thresholds, areas, self.max_dets, self.protocol == "pycocotools")

    def score(self, tally: Tally) -> Result:
        """The COCO numbers, AP of each class, and the curves behind them."""
        taxonomy = self.taxonomy_of(tally)
        ids = np.array(sorted(taxonomy.ids), np.int64)
        curves = curves_of(tally.tables["detections"], tally.tables["truths"], ids, self.axes)
        per_class = self._per_class(tally, taxonomy, curves["precision"])
        return Result(
            task="instance",
            signature=self.signature(tally),
            images=len(tally),
            values=values_of(curves, self.axes),
            per_class=tuple(per_class),
            warnings=tuple(self._cautions(tally, taxonomy)),
            curves=curves,
            rule=rule_to_dict(self),
            tally=tally,
        )

    def _per_class(self, tally: Tally, taxonomy: Taxonomy, precision: NDArray[Any]) -> list[dict[str, Any]]:
        ids = np.array(sorted(taxonomy.ids), np.int64)
        thresholds = np.array(self.iou_thresholds)
        detections, truths = tally.tables["detections"], tally.tables["truths"]
        found = np.bincount(positions(detections["class"], ids), minlength=len(ids) + 1)
        present = np.bincount(
            positions(truths["class"], ids), weights=truths["truths"][:, 0] + truths["crowds"], minlength=len(ids) + 1
        )
        rows = []
        for k, class_id in enumerate(ids.tolist()):
            own = precision[:, :, k, 0, -1]
            row = {"id": class_id, "name": taxonomy.names[taxonomy.index_of(class_id)], "AP": mean_of(own)}
            row |= {name: mean_of(own[thresholds == t]) for name, t in (("AP50", 0.5), ("AP75", 0.75))}
            rows.append(row | {"truths": int(present[k]), "detections": int(found[k])})
        return rows

    def signature(self, tally: Tally) -> Signature:
        """Every choice that moves these numbers."""
        choices: list[tuple[str, object]] = [("classes", self.taxonomy_of(tally).label()), *self.observing()]
        choices += [("images", len(tally)), ("truth", tally.digest[:8]), ("segeval", __version__)]
        return Signature.of("AP", choices)

    def summary(self, result: Result) -> Table:
        """Twelve numbers in one line run off a terminal: precision above, recall below."""
        names = tuple(result.values)
        half = len(names) // 2
        pairs = zip(names[:half], names[half:], strict=False)
        rows = [(a, percent(result.values[a]), b, percent(result.values[b])) for a, b in pairs]
        return Table(("", "%", "", "%"), tuple(rows), left=(0, 2))

    def reweighted(self, tally: Tally) -> ReweightedDetections:
        """As `Metric.reweighted`."""
        return detections_of(tally, self.taxonomy_of(tally), self.axes)

    def per_image(self, tally: Tally) -> list[dict[str, Any]]:
        """One row an image, lowest F1 first.

        F1 = 2 tp / (2 tp + fp + fn) at IoU 0.5 (or the lowest threshold), of the detections that reach the one score
        at which F1 over all images is best.
        """
        rows = tally.tables["detections"]
        bit = np.uint64(self.iou_thresholds.index(0.5) if 0.5 in self.iou_thresholds else 0)
        counted = rows["ignored"][:, 0] >> bit & np.uint64(1) == 0
        true = (rows["matched"][:, 0] >> bit & np.uint64(1) == 1) & counted
        wanted = np.zeros(len(tally.keys), np.int64)
        truths = tally.tables["truths"]
        np.add.at(wanted, truths.image, truths["truths"][:, 0])
        cut = best_cut(rows["score"][counted], true[counted], int(wanted.sum()))
        kept = counted & (rows["score"] >= cut)
        tp, taken = (np.bincount(rows.image[which], minlength=len(tally.keys)) for which in (true & kept, kept))
        table = []
        for i, key in enumerate(tally.keys):
            hit, predicted, missing = int(tp[i]), int(taken[i]), int(wanted[i])
            f1 = 2 * hit / (predicted + missing) if predicted + missing else float("nan")
            table.append({"image": key, "F1": f1, "tp": hit, "fp": predicted - hit, "fn": missing - hit, "score": cut})
        return sorted(table, key=lambda row: (row["F1"] != row["F1"], row["F1"]))

    def _cautions(self, tally: Tally, taxonomy: Taxonomy) -> Iterator[Caution]:
        notes = {name: int(column.sum()) for name, column in tally.tables["notes"].counts.items()}
        detections = tally.tables["detections"]
        defects = self.protocol == "default"
        if self.taxonomy is None and not self.class_agnostic:
            yield Caution("classes-inferred", f"no classes given: took the {len(taxonomy)} found in the truth")
        if defects and notes["zero_ids"]:
            text = "annotation id 0 is an id like any other here; pycocotools counts what matches it as wrong"
            yield Caution("annotation-id-0", text + " (--protocol pycocotools)")
        if defects and self.iou == "segm" and notes["boxed_masks"]:
            text = f"{notes['boxed_masks']} results have a mask and a box: their area is the mask's"
            yield Caution("area-of-mask", text + "; pycocotools takes the box's (--protocol pycocotools)")
        if defects and 100 not in self.max_dets:
            text = f"AP is taken at {self.max_dets[-1]} detections; pycocotools looks for 100 and gives -1"
            yield Caution("max-dets", text)
        if not len(detections):
            text = "there are no detections, so every score is 0; pycocotools stops with an IndexError"
            yield Caution("no-detections", text)
        elif len(detections) > 1 and np.ptp(detections["score"]) == 0:
            text = f"all scores are {detections['score'][0]:g}: AP then depends on the order of the results"
            yield Caution("equal-scores", text)
        if notes["computed_areas"]:
            text = f"{notes['computed_areas']} annotations state no area: computed from the {self._shape}"
            yield Caution("area-computed", text)
        if notes["beyond"]:
            text = f"{notes['beyond']} results beyond the {self.max_dets[-1]} best of their image and class don't count"
            yield Caution("beyond-max-dets", text)

    @property
    def _shape(self) -> str:
        return "mask" if self.iou == "segm" else "box"


def _ready(pair: Pair) -> Pair:
    """The pair with both sides as instances of one size."""
    truth, prediction = pair.truth, pair.prediction
    if type(truth) is type(prediction) is Instances and truth[3:] == prediction[3:]:
        return pair
    truth = as_instances(pair.truth, "truth", file=pair.truth_file, key=pair.key)
    prediction = as_instances(
        pair.prediction, "prediction", file=pair.prediction_file, key=pair.key, size=(truth.height, truth.width)
    )
    return pair._replace(truth=truth, prediction=prediction)


def _chunks(pairs: Iterable[Pair], most: int) -> Iterator[list[Pair]]:
    """Groups of at most so many pairs that share their columns."""
    chunk: list[Pair] = []
    for pair in pairs:
        if chunk and (
            len(chunk) == most
            or pair.truth.columns is not chunk[0].truth.columns
            or pair.prediction.columns is not chunk[0].prediction.columns
        ):
            yield chunk
            chunk = []
        chunk.append(pair)
    if chunk:
        yield chunk


def _listed(values: Iterable[float]) -> str:
    return ",".join(f"{v:g}" for v in values)
