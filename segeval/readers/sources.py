"""From two paths to pairs of images: recognise, read, pair."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from segeval.errors import Caution, SegevalError
from segeval.readers.coco.panoptic import CocoPanoptic, nothing_like
from segeval.readers.formats import check_format, named_classes, open_plugin, recognise_panoptic, require_path
from segeval.readers.maps.labels import LabelFolder, void_like
from segeval.readers.maps.panoptic import CodedPanoptic, infer_taxonomy
from segeval.readers.pairing import PairedSource, pair_up
from segeval.readers.protocol import Reader
from segeval.samples.taxonomy import Taxonomy


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
    truth = open_plugin(gt_format, gt, "truth", taxonomy, gt_suffix)
    taxonomy = taxonomy or named_classes(truth)
    truth = truth or LabelFolder.open(gt, "truth", gt_suffix)
    prediction = open_plugin(pred_format, pred, "prediction", taxonomy, pred_suffix)
    prediction = prediction or LabelFolder.open(pred, "prediction", pred_suffix)
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
    truth, taxonomy, void, notes = _panoptic_truth(gt, form, taxonomy, void, listed_void, gt_suffix)
    prediction = open_plugin(other, pred, "prediction", taxonomy, pred_suffix)
    if prediction is None and other == "coco-panoptic":
        prediction = CocoPanoptic.open(pred, "prediction", void if form == other else (0,))
    elif prediction is None:
        channels = other == "panoptic-channels"
        prediction = CodedPanoptic.open(pred, "prediction", channels=channels, void=void, suffix=pred_suffix)
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


def _panoptic_truth(
    gt: Path,
    form: str,
    taxonomy: Taxonomy | None,
    void: tuple[int, ...] | None,
    listed_void: tuple[int, ...],
    suffix: str,
) -> tuple[Reader, Taxonomy, tuple[int, ...], tuple[Caution, ...]]:
    """The truth, the classes, what is void, and what was inferred."""
    brought = open_plugin(form, gt, "truth", taxonomy, suffix)
    if form != "coco-panoptic" and brought is None:
        void = tuple(sorted({0, *listed_void})) if void is None else void
        coded = CodedPanoptic.open(gt, "truth", channels=form == "panoptic-channels", void=void, suffix=suffix)
        reader, found, notes = infer_taxonomy(coded, taxonomy)
        return reader, found, void, notes
    void = (0,) if void is None else void
    if brought is None:
        coco = CocoPanoptic.open(gt, "truth", void)
        truth: Reader = coco
        named, file = coco.categories, coco.path
    else:
        truth, named, file = brought, named_classes(brought), gt
    if taxonomy is None:
        taxonomy = named
    elif taxonomy.things is None and named is not None and named.things is not None:
        known = dict(zip(named.ids, named.things, strict=True))
        taxonomy = replace(taxonomy, things=tuple(known.get(i, False) for i in taxonomy.ids))
    if taxonomy is None:
        raise SegevalError("has no 'categories'", file=file, remedy="add them, or give --classes FILE")
    if taxonomy.things is not None:
        return truth, taxonomy, void, ()
    text = "no category has 'isthing': things and stuff are not told apart"
    return truth, taxonomy, void, (Caution("things-unknown", text),)
