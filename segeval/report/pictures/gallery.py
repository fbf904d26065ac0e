"""The pictures of a report: which images are shown, and what of them fits."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segeval.comparison.comparing import Comparison, System
from segeval.errors import SegevalError
from segeval.metrics.diagnosis import image_figure
from segeval.report.grids import difference
from segeval.report.pictures.layers import Layers
from segeval.report.pictures.painting import ERROR_COLOURS, encode_layer, encode_photo, paint_classes, paint_errors
from segeval.report.pictures.reread import Files, Photos
from segeval.results.result import Result
from segeval.results.tables import printable
from segeval.samples.pairs import Key
from segeval.samples.taxonomy import Colour, Taxonomy

# The longer side of a picture, in pixels.
SIDE = 640

# Bytes of the page around a picture.
MARKUP = 800

# Images a group, and classes in the legend of an image.
WORST, CHANGED, LEGEND = 9, 4, 9


@dataclass(frozen=True)
class Panel:
    """One picture of an image; over a photograph where there is one."""

    caption: str
    uri: str
    alt: str
    system: int = -1
    kind: str = "labels"


@dataclass(frozen=True)
class GalleryEntry:
    """One image of the gallery."""

    name: str
    why: str
    panels: tuple[Panel, ...] = ()
    legend: tuple[tuple[str, str], ...] = ()
    photo: str = ""
    width: int = 0
    height: int = 0
    gone: str = ""


@dataclass(frozen=True)
class Group:
    """Images that are shown for one reason."""

    title: str
    entries: tuple[GalleryEntry, ...]


@dataclass(frozen=True)
class Choice:
    """An image to show: the group that it belongs to, its key, and why it is there."""

    group: str
    key: Key
    why: str


def has_images(result: Result) -> bool:
    """Whether a run keeps rows of each image."""
    return result.tally is not None and bool(result.tally.keys) and not result.tally.folded


@dataclass(frozen=True, eq=False)
class ImageFigures:
    """What the images of all systems are compared by: its name, the images, and (systems, images), NaN if undefined."""

    name: str
    keys: tuple[Key, ...]
    values: NDArray[np.float64]


def figures_of(systems: Sequence[System], comparison: Comparison | None) -> ImageFigures:
    """The figure of every image under every system, of the images that all of them have."""
    name = image_figure(systems[0].result.metric)
    if comparison is not None:
        return ImageFigures(name, comparison.images, comparison.per_image)
    tables = []
    for s in systems:
        rows = s.result.metric.per_image(s.result.tally)
        tables.append({row["image"]: float(row[name]) for row in rows})
    tally = systems[0].result.tally
    keys = tuple(k for k in (tally.keys if tally is not None else ()) if all(k in t for t in tables))
    return ImageFigures(name, keys, np.array([[t[k] for k in keys] for t in tables], np.float64))


def choose(systems: Sequence[System], comparison: Comparison | None, figures: ImageFigures) -> list[Choice]:
    """The worst images (of several systems: by their mean), and for each pair with the first those that change most."""
    figure = figures.name
    read = systems[0].result.figure(figure)
    mean = figures.values.mean(0)
    order = [int(i) for i in np.argsort(read.gain(1.0) * mean, kind="stable") if not math.isnan(mean[i])]
    chosen = []
    for i in order[: WORST if len(systems) == 1 else WORST - 3]:
        said = ", ".join(
            f"{s.mark + ' ' if len(systems) > 1 else ''}{read.show(float(v))}"
            for s, v in zip(systems, figures.values[:, i], strict=True)
        )
        chosen.append(Choice("Worst images", figures.keys[i], f"{figure} {said}"))
    if comparison is None:
        return chosen
    for j, second in enumerate(comparison.systems[1:], 1):
        changes = [c for c in comparison.changes if (c.first, c.second) == (0, j) and not math.isnan(c.change)]
        gains = sorted((c for c in changes if read.gain(c.change) > 0), key=lambda c: -abs(c.change))[:CHANGED]
        losses = sorted((c for c in changes if read.gain(c.change) < 0), key=lambda c: -abs(c.change))[:CHANGED]
        a = comparison.systems[0]
        for title, part in (("Better", gains), ("Worse", losses)):
            for c in part:
                values = f"{read.show(c.first_value)} → {read.show(c.second_value)}"
                why = f"{figure} {values} ({difference(c.change, read)})"
                chosen.append(Choice(f"{title} with {second.name} than with {a.name}", c.image, why))
    return chosen


def gallery(
    systems: Sequence[System],
    comparison: Comparison | None,
    taxonomy: Taxonomy,
    colours: Sequence[Colour],
    images: str | os.PathLike[str] | None,
    figures: ImageFigures,
    room: int,
) -> tuple[list[Group], list[str]]:
    """The groups of pictures, in at most `room` bytes, and remarks on what could not be shown.

    Raises
    ------
    SegevalError
        If `images` is no folder of photographs.
    """
    photos = Photos(images) if images is not None else None
    remarks: list[str] = []
    files: list[Files | None] = []
    for s in systems:
        try:
            files.append(Files(s.result, taxonomy))
        except SegevalError as error:
            files.append(None)
            remarks.append(f"No pictures of {s.name}: {error}.")
    choices = choose(systems, comparison, figures)
    groups: dict[str, list[GalleryEntry]] = {}
    left = room
    skipped = 0
    # The first of every group first, so that a full page has some of each.
    order: dict[str, int] = {}
    ranked: list[tuple[int, int, Choice]] = []
    for c in choices:
        order[c.group] = order.get(c.group, -1) + 1
        ranked.append((order[c.group], len(ranked), c))
    made: dict[int, GalleryEntry] = {}
    for _, place, c in sorted(ranked, key=lambda r: r[:2]):
        entry = _entry(c, systems, files, taxonomy, colours, photos)
        size = len(entry.photo) + sum(len(p.uri) + MARKUP for p in entry.panels) + MARKUP
        if size > left:
            skipped += 1
            continue
        left -= size
        made[place] = entry
    for _, place, c in ranked:
        if place in made:
            groups.setdefault(c.group, []).append(made[place])
    if skipped:
        remarks.append(f"{skipped} more images were left out to keep this page small.")
    return [Group(title, tuple(entries)) for title, entries in groups.items()], remarks


def _entry(
    choice: Choice,
    systems: Sequence[System],
    files: Sequence[Files | None],
    taxonomy: Taxonomy,
    colours: Sequence[Colour],
    photos: Photos | None,
) -> GalleryEntry:
    name = printable(str(choice.key))
    seen: list[tuple[int, Layers]] = []
    gone = []
    photo = ""
    for k, (s, some) in enumerate(zip(systems, files, strict=True)):
        if some is None:
            continue
        try:
            seen.append((k, some.layers(choice.key, SIDE)))
            name = printable(some.name(choice.key))
        except SegevalError as error:
            gone.append(f"{s.name}: {error}" if len(systems) > 1 else str(error))
    if not seen:
        return GalleryEntry(name, choice.why, gone="; ".join(gone) or "its files are gone")
    height, width = seen[0][1].truth.shape
    if photos is not None and (image := photos.load(name, height, width)) is not None:
        photo = encode_photo(image, height, width)
    panels = [Panel("photograph", "", f"photograph of {name}", kind="photo")] if photo else []
    lines = systems[0].result.metric.reads != "semantic"  # where neighbours of one class are told apart
    truth = seen[0][1]
    uri = encode_layer(paint_classes(truth.truth, truth.truth_lines & lines, tuple(colours)))
    panels.append(Panel("truth", uri, f"truth of {name}"))
    for k, layers in seen:
        title = f"{systems[k].mark} " if len(systems) > 1 else ""
        uri = encode_layer(paint_classes(layers.prediction, layers.prediction_lines & lines, tuple(colours)))
        panels.append(Panel(f"{title}prediction", uri, f"prediction of {name} by {systems[k].name}", k))
        uri = encode_layer(paint_errors(layers.errors, layers.truth_lines))
        panels.append(Panel(f"{title}errors", uri, f"errors of {name} by {systems[k].name}", k, "errors"))
    legend = _legend([layers for _, layers in seen], taxonomy, colours)
    return GalleryEntry(name, choice.why, tuple(panels), legend, photo, width, height, "; ".join(gone))


def _legend(layers: Sequence[Layers], taxonomy: Taxonomy, colours: Sequence[Colour]) -> tuple[tuple[str, str], ...]:
    """The classes that take most of the pictures: colour and name."""
    k = len(taxonomy)
    seen = np.bincount(np.minimum(layers[0].truth, k).ravel(), minlength=k + 1)
    for some in layers:
        seen = seen + np.bincount(np.minimum(some.prediction, k).ravel(), minlength=k + 1)
    order = [int(i) for i in np.argsort(-seen[:k], kind="stable") if seen[i]]
    shown = [("#{:02x}{:02x}{:02x}".format(*colours[i]), taxonomy.names[i]) for i in order[:LEGEND]]
    if len(order) > LEGEND:
        shown.append(("", f"and {len(order) - LEGEND} more"))
    return tuple(shown)


def error_legend(reads: str) -> list[tuple[str, str]]:
    """What the colours of an error picture mean, by what the rule reads."""
    from segeval.report.pictures import painting as p

    words: dict[int, str] = {p.WRONG_CLASS: "wrong class", p.MISSED: "missed", p.VOID: "not scored"}
    if reads != "semantic":
        words = {
            p.WRONG_CLASS: "wrong class",
            p.MISSED: "missed",
            p.INVENTED: "invented",
            p.POOR: "mask differs",
            p.VOID: "not scored",
        }
    return [("#{:02x}{:02x}{:02x}".format(*ERROR_COLOURS[kind]), text) for kind, text in words.items()]


__all__ = [
    "GalleryEntry",
    "Group",
    "ImageFigures",
    "Panel",
    "choose",
    "error_legend",
    "figures_of",
    "gallery",
    "has_images",
]
