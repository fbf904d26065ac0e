"""The usual conversions by name."""

from __future__ import annotations

import math
from typing import Any

from segeval.conversion.converting import Conversion, convert
from segeval.conversion.merging import Merging
from segeval.readers.reading import Place


def panoptic_to_semantic(pred: Place, out: Place, *, void: int = 255, **options: Any) -> Conversion:
    """Panoptic maps as label maps: each pixel the class of its segment.

    Parameters
    ----------
    pred
        Panoptic maps in any form; their things need not be known.
    out
        The folder of label maps, named as the PNGs of `pred`.
    void
        Written where there is no segment.
    **options
        Those of `convert`.

    Raises
    ------
    SegevalError
        As `convert`.
    """
    return convert(pred, out, to="labels", to_void=void, **options)


def panoptic_to_instances(pred: Place, out: Place, *, results: bool = False, **options: Any) -> Conversion:
    """Panoptic maps as COCO instances: one mask for each segment of a thing.

    Parameters
    ----------
    pred
        Panoptic maps in any form; their classes, or `classes`, say which are things.
    out
        The JSON, or its folder.
    results
        Write a results JSON, with the segments' field ``score`` (1 where there is none), instead of a truth.
    **options
        Those of `convert`.

    Raises
    ------
    SegevalError
        As `convert`.
    """
    return convert(pred, out, to="coco-results" if results else "coco-instances", **options)


def instances_to_semantic(
    pred: Place,
    out: Place,
    *,
    void: int = 255,
    overlap: str = "score",
    most_covered: float = 1.0,
    min_score: float = -math.inf,
    **options: Any,
) -> Conversion:
    """Instances as label maps: each pixel the class of the instance that owns it, void where there is none.

    Parameters
    ----------
    pred
        Instances in any form; a results JSON needs `gt`, its truth.
    out
        The folder of label maps, named as the images' files.
    void
        Written where there is no instance.
    overlap, most_covered, min_score
        See `Merging`; by default the higher score owns a pixel, and every instance counts.
    **options
        Those of `convert`.

    Raises
    ------
    SegevalError
        As `convert`.
    """
    merging = Merging(overlap, most_covered, min_score)
    return convert(pred, out, to="labels", to_void=void, merging=merging, **options)


def instances_to_panoptic(
    pred: Place,
    out: Place,
    *,
    semantic: Place | None = None,
    overlap: str = "score",
    most_covered: float = 0.5,
    min_score: float = 0.5,
    stuff_area: int = 64 * 64,
    **options: Any,
) -> Conversion:
    """Instances over the stuff of label maps, as a panoptic map (Kirillov et al., CVPR 2019, section 7).

    Parameters
    ----------
    pred
        Instances in any form; a results JSON needs `gt`, its truth.
    out
        The folder of panoptic maps, or their JSON.
    semantic
        Label maps of the same classes.
    overlap, most_covered, min_score, stuff_area
        See `Merging`; the defaults are the paper's.
    **options
        Those of `convert`.

    Raises
    ------
    SegevalError
        As `convert`.
    """
    merging = Merging(overlap, most_covered, min_score, stuff_area)
    return convert(pred, out, to="coco-panoptic", semantic=semantic, merging=merging, **options)
