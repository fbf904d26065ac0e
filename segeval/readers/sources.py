"""From two paths to pairs of images: recognise, read, pair."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from segeval.errors import Caution, SegevalError
from segeval.readers.coco.instances import CocoInstances, CocoResults
from segeval.readers.coco.panoptic import CocoPanoptic
from segeval.readers.formats import check_format, format_of, named_classes, open_plugin, require_path
from segeval.readers.maps.instances import InstanceFolder, no_instances_like
from segeval.readers.maps.labels import LabelFolder, void_like
from segeval.readers.maps.panoptic import CodedPanoptic, infer_taxonomy
from segeval.readers.pairing import PairedSource, pair_up
from segeval.readers.protocol import Reader
from segeval.readers.recognition import recognise_panoptic
from segeval.samples.pairs import Key
from segeval.samples.panoptic import no_segments_like
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
        empty=no_segments_like,
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


def open_instance(
    pred: Path,
    gt: Path,
    *,
    taxonomy: Taxonomy | None,
    iou: str = "segm",
    missing: str = "error",
    pred_format: str | None = None,
    gt_format: str | None = None,
    pred_suffix: str = "",
    gt_suffix: str = "",
) -> PairedSource:
    """Pairs of instances: COCO JSON files, or folders of instance-id maps and NPZ files.

    Raises
    ------
    SegevalError
        For paths that aren't there, forms that don't go together, and what the readers and pairing refuse.
    """
    for path, form in ((gt, gt_format), (pred, pred_format)):
        require_path(path)
        if form:
            check_format(form, "instance")
    if any(form and format_of(form).open for form in (gt_format, pred_format)):
        forms, suffixes = (gt_format, pred_format), (gt_suffix, pred_suffix)
        return _with_plugins(gt, pred, taxonomy, iou, missing, forms, suffixes)
    coco = gt_format == "coco-instances" if gt_format else gt.suffix.lower() == ".json"
    results = pred_format == "coco-results" if pred_format else pred.suffix.lower() == ".json"
    if coco != results:
        has, wants = ("an instances JSON", "a results JSON") if coco else ("a folder of maps", "a folder")
        raise SegevalError(f"the truth is {has}, so the prediction must be {wants}", file=pred, remedy=f"give {wants}")
    if coco:
        truth = CocoInstances(gt, iou == "segm")
        prediction = CocoResults(pred, truth, iou == "segm", strict=missing == "error")
        pairs: dict[Key, Key | None] = dict(zip(truth.keys(), truth.keys(), strict=True))
        chosen = truth.taxonomy if taxonomy is None else taxonomy
        return PairedSource(truth, prediction, pairs, chosen, prediction.cautions, no_instances_like)
    if iou != "segm":
        raise SegevalError("maps of instances hold masks, no boxes", file=gt, remedy="score with --iou segm")
    notes: tuple[Caution, ...] = ()
    if taxonomy is None:
        taxonomy = Taxonomy((0,), ("object",))
        text = "no classes given: every instance is of one class; give --classes for class * 1000 + instance"
        notes = (Caution("one-class", text),)
    return pair_up(
        InstanceFolder.open(gt, "truth", taxonomy, gt_suffix),
        InstanceFolder.open(pred, "prediction", taxonomy, pred_suffix),
        missing=missing,
        empty=no_instances_like,
        taxonomy=taxonomy,
        cautions=notes,
        truth_path=gt,
        prediction_path=pred,
    )


def _with_plugins(
    gt: Path,
    pred: Path,
    taxonomy: Taxonomy | None,
    iou: str,
    missing: str,
    forms: tuple[str | None, str | None],
    suffixes: tuple[str, str],
) -> PairedSource:
    """Pairs of which one side at least is in a format that a package brings; the other may be in any of ours."""
    truth = open_plugin(forms[0], gt, "truth", taxonomy, suffixes[0])
    taxonomy = taxonomy or named_classes(truth)
    if truth is None and (forms[0] == "coco-instances" or gt.suffix.lower() == ".json"):
        coco = CocoInstances(gt, iou == "segm")
        truth, taxonomy = coco, taxonomy or coco.taxonomy
    chosen = taxonomy or Taxonomy((0,), ("object",))
    truth = truth or InstanceFolder.open(gt, "truth", chosen, suffixes[0])
    prediction: Reader | None = open_plugin(forms[1], pred, "prediction", chosen, suffixes[1])
    if prediction is None and (forms[1] == "coco-results" or pred.suffix.lower() == ".json"):
        if not isinstance(truth, CocoInstances):
            raise SegevalError("results need an instances JSON as truth", file=pred, remedy="give a folder of maps")
        prediction = CocoResults(pred, truth, iou == "segm", strict=missing == "error")
    prediction = prediction or InstanceFolder.open(pred, "prediction", chosen, suffixes[1])
    return pair_up(
        truth,
        prediction,
        missing=missing,
        empty=no_instances_like,
        taxonomy=chosen,
        truth_path=gt,
        prediction_path=pred,
    )
