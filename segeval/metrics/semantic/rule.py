"""Semantic segmentation: the IoU family from confusion counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from segeval.errors import Caution, SegevalError
from segeval.evidence.rows import Rows, fold, image_digest
from segeval.evidence.tally import Tally, in_order
from segeval.metrics.confusions import Confusions
from segeval.metrics.metric import Metric
from segeval.metrics.options import (
    check_choices,
    option,
    real_numbers,
    rule_to_dict,
    void_value,
    whole_numbers,
    whole_pairs,
)
from segeval.metrics.reweighting import ReweightedCounts
from segeval.metrics.semantic.borders import BorderSplit, border_split
from segeval.metrics.semantic.channels import LOGIT, NOT_CUT, PROBABILITY, is_floating, labels_of
from segeval.metrics.semantic.classes import NO_CLASS, LabelClasses
from segeval.metrics.semantic.counting import Columns, count, count_blocks, in_blocks
from segeval.metrics.semantic.figures import add_up, confusion_matrix_of, figures, mean_over_images, summary
from segeval.metrics.semantic.reweighting import counts_of
from segeval.metrics.semantic.softness import refuse_soft, soft_cautions
from segeval.results.figures import Figure
from segeval.results.result import Result
from segeval.results.signature import Signature
from segeval.samples.blocks import BlockedMap
from segeval.samples.labels import NOTHING, as_labels, require_same_size, resize_nearest
from segeval.samples.pairs import CountedOverlaps, Key, NoPrediction, Pair
from segeval.samples.taxonomy import Taxonomy, positions
from segeval.version import __version__


@dataclass(frozen=True)
class SemanticIoU(Metric):
    """Confusion counts pooled over the data set, and the IoU family on top (Everingham et al. 2010; Long et al. 2015).

    For class c with truth pixels t, predicted pixels p and common pixels i, outside the truth's void:
    IoU = i / (t + p - i), Acc = recall = i / t, precision = i / p, Dice = 2 i / (t + p). mIoU, mAcc and mDice are
    means over classes, aAcc is the sum of i over the sum of t, and fwIoU weights each IoU by t.

    Examples
    --------
    >>> from segeval import Accumulator, SemanticIoU
    >>> seen = Accumulator(SemanticIoU(Taxonomy.of(["road", "car"]), void=(255,)))
    >>> seen.update(truth=np.array([[0, 0, 1, 255]]), prediction=np.array([[0, 1, 1, 1]]))
    >>> [(row["name"], row["IoU"], row["recall"]) for row in seen.compute().per_class]
    [('road', 0.5, 0.5), ('car', 0.5, 1.0)]
    """

    task: ClassVar[str] = "semantic"
    headline: ClassVar[str] = "mIoU"
    reads: ClassVar[str] = "semantic"
    title: ClassVar[str] = "Semantic segmentation"
    class_figures: ClassVar[tuple[str, ...]] = ("IoU", "Acc", "Dice", "precision", "recall")
    shown: ClassVar[tuple[str, ...]] = ("mIoU", "fwIoU", "aAcc", "mAcc", "mDice")
    figures: ClassVar[Mapping[str, Figure]] = {
        "mIoU": Figure("mean over classes of intersection over union"),
        "fwIoU": Figure("IoU weighted by each class's share of the truth"),
        "aAcc": Figure("pixels of the right class"),
        "mAcc": Figure("mean over classes of recall"),
        "mDice": Figure("mean over classes of the Dice coefficient"),
    }
    diagnoses: ClassVar[Mapping[type, Callable[[Result], Any]]] = {
        Confusions: lambda result: None if result.confusion is None else Confusions(result.confusion, "pixels"),
        BorderSplit: border_split,
    }

    taxonomy: Taxonomy | None = option(None, "classes: a count, a file of names, or a JSON", flag="-")
    void: tuple[int, ...] | None = option(
        None, "values that are no class, or none (default 255)", metavar="N", parse=void_value
    )
    reduce_zero_label: bool = option(False, "truth 0 becomes void and the other classes move down by one")
    binary: bool = option(False, "masks of 0/255 or 0/1: background and foreground")
    threshold: float | None = option(
        None,
        "with --binary, for soft or lossy masks: a value of T or more is foreground, a smaller one background",
        metavar="T",
        parse=float,
        needs="binary",
        several=False,
    )
    map_truth: tuple[tuple[int, int], ...] = option((), "value by value, before anything else", flag="-")
    map_prediction: tuple[tuple[int, int], ...] = option((), "value by value, before anything else", flag="-")
    exclude: tuple[str, ...] = option((), "classes left out of the means (id or name)", metavar="CLASS")
    average: str = option(
        "dataset", "pool pixels over the data set, or average over images", choices=("dataset", "image")
    )
    absent: str = option(
        "skip", "a class in neither truth nor prediction: leave it out, or count 0", choices=("skip", "zero")
    )
    resize: str = option("no", "predictions of another size: refuse, or resize", choices=("no", "nearest"))
    diagnose: bool = option(False, "keep what the analysis of errors needs; moves no number")
    band: int = option(
        5,
        "with --diagnose: pixels around a truth's border that are its band",
        metavar="N",
        parse=int,
        needs="diagnose",
    )

    def __post_init__(self) -> None:
        check_choices(self)
        if self.band < 1:
            raise SegevalError(f"a band of {self.band} pixels is none", remedy="give --band 1 or more")
        self._check_threshold()
        if self.void is not None:
            object.__setattr__(self, "void", tuple(sorted(set(whole_numbers(self.void, "void")))))
        one = isinstance(self.exclude, (str, int))
        if not one and not isinstance(self.exclude, Iterable):
            raise SegevalError(f"exclude={self.exclude!r} holds no class", remedy="give ids or names")
        object.__setattr__(self, "exclude", tuple(map(str, (self.exclude,) if one else self.exclude)))
        for name in ("map_truth", "map_prediction"):
            object.__setattr__(self, name, whole_pairs(getattr(self, name), name))
        if self.binary and self.taxonomy is None:
            object.__setattr__(self, "taxonomy", Taxonomy.of_names(("background", "foreground")))
        if self.taxonomy is None:
            return
        if self.void is None and not self.binary and 255 in self.taxonomy.ids:
            raise SegevalError(
                "255 is among the classes, and void unless said otherwise",
                remedy="give --void none if 255 is a class, or --void 255 if it is void",
            )
        # With a threshold void is said of what is stored, and not of the classes that come of it.
        taken = () if self.threshold is not None else self.void_values
        if set(self.taxonomy.ids) & set(taken):
            object.__setattr__(self, "taxonomy", self.taxonomy.without(taken))
        if self.binary and self.taxonomy.ids != tuple(i for i in (0, 1) if i not in taken):
            raise SegevalError("binary masks have the classes 0 and 1", remedy="leave out --classes or --binary")

    def _check_threshold(self) -> None:
        if self.threshold is None:
            return
        numbers = real_numbers(self.threshold, "threshold")
        if len(numbers) != 1:
            raise SegevalError(f"{len(numbers)} thresholds", remedy="give one, such as 128")
        threshold = numbers[0]
        if not self.binary:
            raise SegevalError("a threshold is for binary masks", remedy="give --binary too, or leave it out")
        if not 0 < threshold < float("inf"):
            raise SegevalError(f"a threshold of {threshold:g} divides nothing", remedy="give one above 0, such as 128")
        object.__setattr__(self, "threshold", int(threshold) if threshold == int(threshold) else threshold)

    @property
    def void_values(self) -> tuple[int, ...]:
        """The void in force: none for binary masks, else 255 unless given."""
        return self.void if self.void is not None else () if self.binary else (255,)

    @property
    def takes_counts(self) -> bool:
        """Whether counted overlaps may stand in place of pixels."""
        return not self.diagnose

    def observing(self) -> list[tuple[str, str]]:
        """The choices that bear on counting, as they stand in the signature."""
        void = ",".join(map(str, self.void_values)) or "none"
        choices = [("void", void), ("resize", self.resize)]
        if self.binary:
            choices.append(("binary", "yes" if self.threshold is None else f">={self.threshold}"))
        if self.reduce_zero_label:
            choices.append(("reduce-zero", "yes"))
        maps = (("map-gt", self.map_truth), ("map-pred", self.map_prediction))
        return choices + [(name, ",".join(f"{a}>{b}" for a, b in sorted(table))) for name, table in maps if table]

    def observe(self, pairs: Iterable[Pair]) -> Tally:
        """Count each image's (truth class, predicted class) pixels.

        Raises
        ------
        SegevalError
            For a size mismatch, an array that is no label map, or a label outside given classes.
        """
        from segeval.kernels.counting import band, confusion

        keys: list[Key] = []
        files: list[tuple[str | None, str | None]] = []
        digests: list[int] = []
        columns: list[Columns] = []
        near: list[Columns] = []
        cuts: list[int] = []
        for pair in pairs:
            counted = pair.truth
            if isinstance(counted, CountedOverlaps):
                pass
            elif in_blocks(pair) and not self.diagnose:
                counted = count_blocks(pair)
            else:
                truth, prediction, cut = self.label_maps(pair)
                counted = count(truth, prediction, cut)
                if self.diagnose:
                    inside = band.border_band(truth, self.band)
                    near.append(confusion.confusion_rows_any(truth[inside], prediction[inside]))
            columns.append(counted[2:5])
            cuts.append(counted.cut)
            keys.append(pair.key)
            files.append((pair.truth_file, pair.prediction_file))
            digests.append(image_digest(pair.key, *counted.shape, counted.crc))
        image = np.flatnonzero(cuts)
        found = np.array(cuts, np.int64)[image]
        notes = Rows(image.astype(np.int32), {"cut": found}, {"images": np.ones(len(found), np.int64)})
        tables = {"pixels": self._rows(columns, keys, files), "notes": notes}
        choices = [("classes", self._class_label()), *self.observing()]
        if self.diagnose:
            tables["band"] = self._rows(near, keys, files)
            choices.append(("band", str(self.band)))
        rule = Signature.of("semantic", choices).format()
        return in_order(Tally("semantic", rule, tuple(keys), np.array(digests, np.uint64), tables))

    def counted(self, pair: Pair) -> Pair:
        """An image with its counts in place of its pixels, for a rule that `takes_counts`.

        Raises
        ------
        SegevalError
            For all that `observe` refuses.
        """
        if not isinstance(pair.truth, CountedOverlaps):
            counted = count_blocks(pair) if in_blocks(pair) else count(*self.label_maps(pair))
            pair = pair._replace(truth=counted, prediction=None)
        image = np.zeros(len(pair.truth.pixels), np.int32)
        self.classes_of(pair.truth.truth, "truth", image, [pair.key], [pair.truth_file])
        self.classes_of(pair.truth.prediction, "prediction", image, [pair.key], [pair.prediction_file])
        return pair

    def label_maps(self, pair: Pair) -> tuple[NDArray[Any], NDArray[Any], int]:
        """The label maps of an image, of one size, and how the prediction's foreground was cut (see `channels`).

        Raises
        ------
        SegevalError
            For what is no label map and no channels, and for sizes that differ.
        """
        truth, _ = self.label_map(pair, "truth", ())
        prediction, cut = self.label_map(pair, "prediction", truth.shape)
        if truth.shape != prediction.shape:
            if self.resize == "nearest":
                prediction = resize_nearest(prediction, *truth.shape)
            remedy = "predict at the truth's size, or give --resize nearest"
            require_same_size(truth, prediction, file=pair.prediction_file, key=pair.key, remedy=remedy)
        return truth, prediction, cut

    def label_map(self, pair: Pair, side: str, size: tuple[int, ...]) -> tuple[NDArray[Any], int]:
        """One side's label map, and how its foreground was cut; `size` is the truth's, where it is known."""
        data, file = (pair.truth, pair.truth_file) if side == "truth" else (pair.prediction, pair.prediction_file)
        cut = NOT_CUT
        if isinstance(data, NoPrediction):
            return np.full(size, NOTHING, np.uint32), cut
        data = np.asarray(data) if isinstance(data, BlockedMap) else data
        try:
            if getattr(data, "ndim", 2) != 2 or is_floating(data):
                data, cut = labels_of(self, data, size, side, pair.key)
        except SegevalError as error:
            raise (
                error
                if error.file or not file
                else SegevalError(error.message, file=file, key=error.key, remedy=error.remedy)
            ) from None
        return as_labels(data, side, file=file, key=pair.key, signed=True), cut

    def _rows(self, columns: list[Columns], keys: list[Key], files: list[tuple[str | None, str | None]]) -> Rows:
        """Rows of class ids from the label pairs of each image."""
        image = np.repeat(np.arange(len(keys), dtype=np.int32), [len(c[2]) for c in columns])
        truth_ids, predicted_ids, pixels = (
            np.concatenate([np.asarray(c[k], np.int64) for c in columns]) if columns else np.zeros(0, np.int64)
            for k in range(3)
        )
        truth_ids = self.classes_of(truth_ids, "truth", image, keys, [f[0] for f in files])
        predicted_ids = self.classes_of(predicted_ids, "prediction", image, keys, [f[1] for f in files])
        return add_up(image, truth_ids, predicted_ids, pixels)

    @cached_property
    def _classes(self) -> LabelClasses:
        maps = self.map_truth, self.map_prediction, self.threshold
        return LabelClasses(self.taxonomy, self.void_values, self.binary, self.reduce_zero_label, *maps)

    def class_of(self, raw: int, side: str) -> int | None:
        """The class of a raw value of ``truth`` or ``prediction``; None for void and for what is refused."""
        return self._classes.class_of(raw, side)

    def classes_of(
        self, values: NDArray[np.int64], side: str, image: NDArray[np.int32], keys: list[Key], files: list[str | None]
    ) -> NDArray[np.int64]:
        """Class ids of raw values, `NO_CLASS` for void.

        Raises
        ------
        SegevalError
            For a value outside the classes given.
        """
        return self._classes.classes_of(values, side, image, keys, files)

    def _class_label(self) -> str:
        return "inferred" if self.taxonomy is None else self.taxonomy.label()

    def taxonomy_of(self, tally: Tally) -> Taxonomy:
        """The classes given, or else those that the truth holds."""
        if self.taxonomy is not None:
            return self.taxonomy
        found = np.unique(tally.tables["pixels"]["truth"])
        return Taxonomy(tuple(int(i) for i in found if i != NO_CLASS))

    def _excluded(self, taxonomy: Taxonomy) -> set[int]:
        """The ids of the classes that are left out of the means."""
        return {taxonomy.resolve(c) for c in self.exclude}

    def _in_means(self, taxonomy: Taxonomy) -> NDArray[np.bool_]:
        """Which classes are in the means (K)."""
        excluded = self._excluded(taxonomy)
        return np.array([i not in excluded for i in taxonomy.ids], bool)

    def areas(self, tally: Tally, taxonomy: Taxonomy, per_image: bool) -> NDArray[np.int64]:
        """Common, truth and predicted pixels of each class: (3, K), or (3, images, K)."""
        rows = tally.tables["pixels"]
        k = len(taxonomy)
        truth, predicted = (positions(rows[c], taxonomy.ids) for c in ("truth", "prediction"))
        counted = rows["truth"] != NO_CLASS
        images = len(tally.keys) if per_image else 1
        image = rows.image if per_image else np.zeros(len(rows), np.int32)
        out = np.zeros((3, images, k + 1), np.int64)
        pixels = rows["pixels"]
        for plane, which, column in (
            (0, counted & (truth == predicted) & (truth < k), truth),
            (1, counted, truth),
            (2, counted, predicted),
        ):
            np.add.at(out[plane], (image[which], column[which]), pixels[which])
        return out[:, :, :k] if per_image else out[:, 0, :k]

    def score(self, tally: Tally) -> Result:
        """The IoU family.

        Raises
        ------
        SegevalError
            For an empty tally, or truth of exactly 0 and 255 without a word on what 255 is.
        """
        # What is pooled over images is taken from few rows; columns beside millions of them would cost memory.
        pooled = replace(tally, tables={"pixels": fold(tally.tables["pixels"])})
        taxonomy = self.taxonomy_of(pooled)
        self._refuse_unsaid_binary(pooled)
        self._refuse_two_cuts(tally)
        areas = self.areas(pooled, taxonomy, per_image=False)
        in_means = self._in_means(taxonomy)
        if self.average == "image":
            classes = figures(self.areas(tally, taxonomy, per_image=True))
            means = summary(classes, in_means, self.absent)
            values = {name: mean_over_images(v) for name, v in means.items()}
            shown = {name: mean_over_images(v) for name, v in classes.items() if name not in ("truth", "common")}
        else:
            classes = figures(areas)
            values = {name: float(v) for name, v in summary(classes, in_means, self.absent).items()}
            shown = classes
        per_class = [
            {
                "id": taxonomy.ids[k],
                "name": taxonomy.names[k],
                **{n: float(shown[n][k]) for n in ("IoU", "Acc", "Dice", "precision", "recall")},
                "pixels": int(areas[1, k]),
            }
            for k in range(len(taxonomy))
        ]
        return Result(
            task="semantic",
            signature=self.signature(pooled),
            images=len(tally),
            values=values,
            per_class=tuple(per_class),
            warnings=tuple(self._cautions(tally, pooled, taxonomy)),
            confusion=confusion_matrix_of(pooled, taxonomy),
            rule=rule_to_dict(self),
            tally=tally,
        )

    def signature(self, tally: Tally) -> Signature:
        """Every choice that moves these numbers."""
        choices: list[tuple[str, object]] = [("classes", self.taxonomy_of(tally).label()), *self.observing()]
        choices += [("absent", self.absent), ("average", self.average)]
        if excluded := self._excluded(self.taxonomy_of(tally)):
            choices.append(("exclude", ",".join(map(str, sorted(excluded)))))
        choices += [("images", len(tally)), ("truth", tally.digest[:8]), ("segeval", __version__)]
        return Signature.of("mIoU", choices)

    def settled(self, tally: Tally) -> SemanticIoU:
        """With the classes that were found in the truth, and the void in force."""
        return replace(self, taxonomy=self.taxonomy_of(tally), void=self.void_values)

    def reweighted(self, tally: Tally) -> ReweightedCounts:
        """As `Metric.reweighted`."""
        taxonomy = self.taxonomy_of(tally)
        areas = self.areas(tally, taxonomy, per_image=True)
        return counts_of(tally.keys, taxonomy, areas, self._in_means(taxonomy), self.absent, self.average)

    def per_image(self, tally: Tally) -> list[dict[str, Any]]:
        """One row an image, lowest mIoU first: key, headline values, and the IoU of each class."""
        taxonomy = self.taxonomy_of(tally)
        classes = figures(self.areas(tally, taxonomy, per_image=True))
        means = summary(classes, self._in_means(taxonomy), self.absent)
        rows = []
        named = Counter(taxonomy.names)
        distinct = [f"{i} {n}" if named[n] > 1 else n for i, n in zip(taxonomy.ids, taxonomy.names, strict=True)]
        for i, key in enumerate(tally.keys):
            row: dict[str, Any] = {"image": key, **{n: float(v[i]) for n, v in means.items()}}
            rows.append(row | {f"IoU {name}": float(classes["IoU"][i, k]) for k, name in enumerate(distinct)})
        undefined_last = [(r["mIoU"] != r["mIoU"], r["mIoU"]) for r in rows]
        return [rows[i] for i in sorted(range(len(rows)), key=lambda i: (undefined_last[i], i))]

    def _refuse_unsaid_binary(self, tally: Tally) -> None:
        if self.void is not None or self.binary or self.reduce_zero_label or self.map_truth:
            return
        if self.taxonomy is not None and len(self.taxonomy) > 2:
            return  # with more classes than two, truth that holds few of them is no mask
        if set(np.unique(tally.tables["pixels"]["truth"]).tolist()) == {0, NO_CLASS}:
            raise SegevalError(
                "the truth holds exactly the values 0 and 255, and 255 is void unless said otherwise",
                remedy="give --binary if 255 is the foreground, or --void 255 if it is void",
            )
        if self.taxonomy is None:
            refuse_soft(tally.tables["pixels"])

    def _cuts(self, tally: Tally) -> dict[int, int]:
        """How many images' foreground was cut in which way."""
        notes = tally.tables.get("notes")
        if notes is None:  # a run of an earlier version
            return {}
        return {cut: int(notes["images"][notes["cut"] == cut].sum()) for cut in (PROBABILITY, LOGIT)}

    def _refuse_two_cuts(self, tally: Tally) -> None:
        cuts = self._cuts(tally)
        if all(cuts.get(cut) for cut in (PROBABILITY, LOGIT)):
            raise SegevalError(
                f"one channel of {cuts[PROBABILITY]} images lies in [0, 1], as probabilities do, and that of "
                f"{cuts[LOGIT]} images does not, as logits don't: it is unknown where to cut",
                remedy="give class ids, or a sigmoid's outputs for all images",
            )

    def _void_cautions(self, rows: Rows) -> Iterator[Caution]:
        """What 255 was taken for where nobody said it."""
        if self.void is not None or self.binary:
            return
        truth, predicted, pixels = rows["truth"], rows["prediction"], rows["pixels"]
        values = {side: set(np.unique(column).tolist()) for side, column in (("t", truth), ("p", predicted))}
        if values["p"] == {0, NO_CLASS} and values["t"] - {NO_CLASS} <= {0, 1}:
            text = "the predictions hold 0 and 255 alone, and 255 is void by default, so each hit counts as missed"
            yield Caution("prediction-mask-255", f"{text}; give --binary if 255 is the foreground")
        if void := int(pixels[truth == NO_CLASS].sum()):
            text = f"{void} of {int(pixels.sum())} pixels of the truth are 255, void by default, and left out"
            yield Caution("void-by-default", f"{text}; give --void 255 if that is meant, --void none if 255 is a class")

    def _cautions(self, tally: Tally, pooled: Tally, taxonomy: Taxonomy) -> list[Caution]:
        rows = pooled.tables["pixels"]
        found = tally.cautions()
        if self.taxonomy is None:
            ids = ", ".join(map(str, taxonomy.ids[:12])) + (", ..." if len(taxonomy) > 12 else "")
            text = f"no classes given: took the {len(taxonomy)} found in the truth ({ids}); give --classes to fix them"
            found.append(Caution("classes-inferred", text))
        if cut := self._cuts(tally).get(PROBABILITY):
            text = f"one channel of {cut} images lies in [0, 1]: taken for the foreground's probability, cut at 0.5"
            found.append(Caution("probabilities", f"{text} (logits are cut at 0)"))
        found += self._void_cautions(rows)
        counted = rows["truth"] != NO_CLASS
        predicted = rows["prediction"]
        total = int(rows["pixels"][counted].sum())
        for code, which, what in (
            ("prediction-void", predicted == NO_CLASS, "void"),
            (
                "prediction-outside",
                (predicted != NO_CLASS) & ~np.isin(predicted, taxonomy.ids),
                "no class of the truth",
            ),
        ):
            if pixels := int(rows["pixels"][counted & which].sum()):
                text = f"{pixels} of {total} scored pixels are predicted as {what}: counted as missed, not as wrong"
                found.append(Caution(code, text))
        if self.taxonomy is None:
            found += soft_cautions(pooled.tables["pixels"])
        if len(tally.keys):
            rows = tally.tables["pixels"]
            counted = rows["truth"] != NO_CLASS
            with_truth = np.zeros(len(tally.keys), bool)
            with_truth[rows.image[counted & (rows.image >= 0)]] = True
            if void := int((~with_truth).sum()):
                first = tally.keys[int(np.argmin(with_truth))]
                found.append(Caution("all-void", f"{void} images have no truth but void, the first is {first}"))
        return found
