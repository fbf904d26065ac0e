"""The pictures of a report: which images are shown, and what of them fits."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from segeval.comparison import IMAGE_FIGURES, Comparison, System
from segeval.errors import SegevalError
from segeval.report.grids import difference
from segeval.report.layers import Layers
from segeval.report.pictures import ERROR_COLOURS, encode_layer, encode_photo, paint_classes, paint_errors
from segeval.report.reread import Files, Photos
from segeval.result import Result
from segeval.samples import Key
from segeval.tables import percent, printable
from segeval.tasks import saved_rule
from segeval.taxonomy import Colour, Taxonomy

# Bytes that all pictures together may take in the page.
BUDGET = 3_600_000

# The longer side of a picture, in pixels.
SIDE = 640

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
class Entry:
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
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class Choice:
    """An image to show: the group that it belongs to, its key, and why it is there."""

    group: str
    key: Key
    why: str


def has_images(result: Result) -> bool:
    """Whether a run keeps rows of each image."""
    return result.tally is not None and bool(result.tally.keys) and not result.tally.folded


def figures_of(result: Result) -> tuple[str, dict[Key, float]]:
    """The figure of every image, and its name."""
    rule = saved_rule(dict(result.rule))
    name = IMAGE_FIGURES[result.task]
    return name, {row["image"]: float(row[name]) for row in rule.per_image(result.tally)}


def choose(systems: Sequence[System], comparison: Comparison | None) -> list[Choice]:
    """The worst images (of several systems: by their mean), and for each pair with the first those that change most."""
    tables = []
    for s in systems:
        figure, table = figures_of(s.result)
        tables.append(table)
    keys = [k for k in tables[0] if all(not math.isnan(t.get(k, math.nan)) for t in tables)]
    mean = {k: math.fsum(t[k] for t in tables) / len(tables) for k in keys}
    worst = sorted(keys, key=lambda k: mean[k])[: WORST if len(systems) == 1 else WORST - 3]
    chosen = []
    for key in worst:
        figures = ", ".join(
            f"{s.mark + ' ' if len(systems) > 1 else ''}{percent(t[key])}" for s, t in zip(systems, tables, strict=True)
        )
        chosen.append(Choice("Worst images", key, f"{figure} {figures}"))
    if comparison is None:
        return chosen
    for j, second in enumerate(comparison.systems[1:], 1):
        changes = [c for c in comparison.changes if (c.first, c.second) == (0, j) and not math.isnan(c.change)]
        gains = sorted((c for c in changes if c.change > 0), key=lambda c: -c.change)[:CHANGED]
        losses = sorted((c for c in changes if c.change < 0), key=lambda c: c.change)[:CHANGED]
        a = comparison.systems[0]
        for title, part in (("Better", gains), ("Worse", losses)):
            for c in part:
                why = f"{figure} {percent(c.first_value)} → {percent(c.second_value)} ({difference(c.change)})"
                chosen.append(Choice(f"{title} with {second.name} than with {a.name}", c.image, why))
    return chosen


def gallery(
    systems: Sequence[System],
    comparison: Comparison | None,
    taxonomy: Taxonomy,
    colours: Sequence[Colour],
    images: str | os.PathLike[str] | None,
) -> tuple[list[Group], list[str]]:
    """The groups of pictures, and remarks on what could not be shown.

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
    choices = choose(systems, comparison)
    groups: dict[str, list[Entry]] = {}
    left = BUDGET
    skipped = 0
    # The first of every group first, so that a full page has some of each.
    order: dict[str, int] = {}
    ranked: list[tuple[int, int, Choice]] = []
    for c in choices:
        order[c.group] = order.get(c.group, -1) + 1
        ranked.append((order[c.group], len(ranked), c))
    made: dict[int, Entry] = {}
    for _, place, c in sorted(ranked, key=lambda r: r[:2]):
        entry = _entry(c, systems, files, taxonomy, colours, photos)
        size = len(entry.photo) + sum(len(p.uri) for p in entry.panels)
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
) -> Entry:
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
        return Entry(name, choice.why, gone="; ".join(gone) or "its files are gone")
    height, width = seen[0][1].truth.shape
    if photos is not None and (image := photos.load(name, height, width)) is not None:
        photo = encode_photo(image, height, width)
    panels = [Panel("photograph", "", f"photograph of {name}", kind="photo")] if photo else []
    lines = systems[0].result.task != "semantic"  # where neighbours of one class are told apart
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
    return Entry(name, choice.why, tuple(panels), legend, photo, width, height, "; ".join(gone))


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


def error_legend(task: str) -> list[tuple[str, str]]:
    """What the colours of an error picture mean."""
    from segeval.report import pictures as p

    words: dict[int, str] = {p.WRONG_CLASS: "wrong class", p.MISSED: "missed", p.VOID: "not scored"}
    if task != "semantic":
        words = {
            p.WRONG_CLASS: "wrong class",
            p.MISSED: "missed",
            p.INVENTED: "invented",
            p.POOR: "mask differs",
            p.VOID: "not scored",
        }
    return [("#{:02x}{:02x}{:02x}".format(*ERROR_COLOURS[kind]), text) for kind, text in words.items()]


__all__ = ["Entry", "Group", "Panel", "choose", "error_legend", "figures_of", "gallery", "has_images"]
