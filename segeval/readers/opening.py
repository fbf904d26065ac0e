"""From two paths to pairs of images: recognise, read, pair."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from segeval.errors import Caution, SegevalError
from segeval.readers.coco_panoptic import CocoPanoptic, nothing_like
from segeval.readers.coded_panoptic import CodedPanoptic, infer_taxonomy
from segeval.readers.formats import check_format, recognise_panoptic, require_path
from segeval.readers.labels import LabelFolder, void_like
from segeval.readers.pairing import PairedSource, pair_up
from segeval.taxonomy import Taxonomy


def open_semantic(
    pred: Path,
    gt: Path,
    *,
    taxonomy: Taxonomy | None,
    missing: str = "error",
    pred_format: str | None = None,
    gt_format: str | None = None,
    pred_suffix: str = "",
    gt_suffix: str = "",
) -> PairedSource:
    """Pairs of label maps.

    Raises
    ------
    SegevalError
        For paths that aren't there, and what pairing refuses.
    """
    for path, form in ((gt, gt_format), (pred, pred_format)):
        require_path(path)
        if form:
            check_format(form, "semantic")
    truth = LabelFolder.open(gt, "truth", gt_suffix)
    prediction = LabelFolder.open(pred, "prediction", pred_suffix)
    return pair_up(
        truth,
        prediction,
        missing=missing,
        empty=void_like,
        taxonomy=taxonomy,
        truth_path=gt,
        prediction_path=pred,
    )


def open_panoptic(
    pred: Path,
    gt: Path,
    *,
    taxonomy: Taxonomy | None,
    void: tuple[int, ...] | None = None,
    listed_void: tuple[int, ...] = (),
    missing: str = "error",
    pred_format: str | None = None,
    gt_format: str | None = None,
    pred_suffix: str = "",
    gt_suffix: str = "",
) -> PairedSource:
    """Pairs of panoptic maps in any two forms; the truth decides the classes, and which are things.

    `void` are segment ids in COCO panoptic form and classes in the others. `listed_void`, which a classes file names,
    are classes; where nothing else is said they join 0.

    Raises
    ------
    SegevalError
        For paths that aren't there, forms that can't be told, and what pairing refuses.
    """
    require_path(gt)
    require_path(pred)
    form = check_format(gt_format, "panoptic") if gt_format else recognise_panoptic(gt, "--gt-format")
    other = check_format(pred_format, "panoptic") if pred_format else recognise_panoptic(pred, "--pred-format")
    notes: tuple[Caution, ...] = ()
    truth: CocoPanoptic | CodedPanoptic
    prediction: CocoPanoptic | CodedPanoptic
    if form == "coco-panoptic":
        void = (0,) if void is None else void
        truth = CocoPanoptic.open(gt, "truth", void)
        if taxonomy is None:
            taxonomy = truth.categories
        elif taxonomy.things is None and truth.categories is not None and truth.categories.things is not None:
            known = dict(zip(truth.categories.ids, truth.categories.things, strict=True))
            taxonomy = replace(taxonomy, things=tuple(known.get(i, False) for i in taxonomy.ids))
        if taxonomy is None:
            raise SegevalError("has no 'categories'", file=truth.path, remedy="add them, or give --classes FILE")
        if taxonomy.things is None:
            text = "no category has 'isthing': things and stuff are not told apart"
            notes = (Caution("things-unknown", text),)
    else:
        void = tuple(sorted({0, *listed_void})) if void is None else void
        coded = CodedPanoptic.open(gt, "truth", channels=form == "panoptic-channels", void=void, suffix=gt_suffix)
        truth, taxonomy, notes = infer_taxonomy(coded, taxonomy)
    if other == "coco-panoptic":
        prediction = CocoPanoptic.open(pred, "prediction", void if form == other else (0,))
    else:
        prediction = CodedPanoptic.open(
            pred, "prediction", channels=other == "panoptic-channels", void=void, suffix=pred_suffix
        )
    return pair_up(
        truth,
        prediction,
        missing=missing,
        empty=nothing_like,
        taxonomy=taxonomy,
        cautions=notes,
        truth_path=gt,
        prediction_path=pred,
        void=void,
    )
