"""The same few images across several runs, side by side: for a page, and as one picture."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from segeval.errors import SegevalError
from segeval.report.pictures.gallery import Panel
from segeval.report.pictures.layers import Layers
from segeval.report.pictures.painting import class_colours, encode_layer, encode_photo, paint_classes
from segeval.report.pictures.reread import Files, Photos
from segeval.results.result import Result
from segeval.results.tables import printable
from segeval.samples.pairs import Key

# The longer side of a picture on a page, and in the one picture of all.
SIDE, SMALL = 400, 200

_GAP, _HEAD = 6, 24
_INK, _PAPER, _ABSENT = (40, 46, 54), (255, 255, 255), (238, 240, 243)


@dataclass(frozen=True, eq=False)
class StripRow:
    """One image: its name, its photograph, its truth and each run's prediction (RGBA, None where it is gone)."""

    name: str
    photo: Image.Image | None
    truth: NDArray[np.uint8]
    predictions: tuple[NDArray[np.uint8] | None, ...]


@dataclass(frozen=True, eq=False)
class Strip:
    """Rows of pictures.

    Attributes
    ----------
    names
        Of the runs.
    rows
        One an image.
    legend
        Colour and name of each class that is seen.
    """

    names: tuple[str, ...]
    rows: tuple[StripRow, ...]
    legend: tuple[tuple[str, str], ...]


def spread_keys(keys: Sequence[Key], count: int) -> list[Key]:
    """So many of the keys, at equal distances, from the first one on."""
    return [keys[len(keys) * k // count] for k in range(min(count, len(keys)))]


def make_strip(
    results: Mapping[str, Result], images: str | os.PathLike[str] | None = None, count: int = 6, side: int = SIDE
) -> Strip:
    """Read some images of several runs on one truth again.

    Parameters
    ----------
    results
        Runs of one task with their evidence, by name.
    images
        A folder of photographs.
    count
        How many images, evenly spread.
    side
        Pixels of the longer side of a picture, at most.

    Raises
    ------
    SegevalError
        If the folder of photographs is none, or no run's files are left.
    """
    if not results:
        raise SegevalError("there is no run to show", remedy="give at least one")
    first = next(iter(results.values()))
    taxonomy = first.taxonomy
    colours = class_colours(taxonomy)[0]
    photos = Photos(images) if images is not None else None
    files: list[Files | None] = []
    for run in results.values():
        try:
            files.append(Files(run, taxonomy))
        except SegevalError:
            files.append(None)
    keys = spread_keys(first.tally.keys, count) if first.tally is not None else []
    lines = first.metric.reads != "semantic"
    rows, counts = [], np.zeros(len(taxonomy) + 1, np.int64)
    for key in keys:
        found = [_layers(some, key, side) for some in files]
        seen = [(some, layers) for some, layers in zip(files, found, strict=True) if some and layers]
        if not seen:
            continue
        name, truth = printable(seen[0][0].name(key)), seen[0][1]
        counts += np.bincount(np.minimum(truth.truth, len(taxonomy)).ravel(), minlength=len(counts))
        height, width = truth.truth.shape
        photo = photos.load(name, height, width) if photos else None
        painted = tuple(
            paint_classes(some.prediction, some.prediction_lines & lines, colours) if some else None for some in found
        )
        rows.append(StripRow(name, photo, paint_classes(truth.truth, truth.truth_lines & lines, colours), painted))
    if not rows:
        raise SegevalError("the files of these runs are gone", remedy="predict again")
    order = [int(k) for k in np.argsort(-counts[:-1], kind="stable") if counts[k]]
    legend = tuple(("#{:02x}{:02x}{:02x}".format(*colours[k]), taxonomy.names[k]) for k in order)
    return Strip(tuple(results), tuple(rows), legend)


def _layers(files: Files | None, key: Key, side: int) -> Layers | None:
    if files is None:
        return None
    try:
        return files.layers(key, side)
    except SegevalError:
        return None


def panels(strip: Strip, row: StripRow) -> list[Panel]:
    """The pictures of one image, for a page."""
    height, width = row.truth.shape[:2]
    made = []
    if row.photo is not None:
        made.append(Panel("photograph", encode_photo(row.photo, height, width), f"photograph of {row.name}"))
    made.append(Panel("truth", encode_layer(row.truth), f"truth of {row.name}"))
    for k, (name, picture) in enumerate(zip(strip.names, row.predictions, strict=True)):
        uri = "" if picture is None else encode_layer(picture)
        made.append(Panel(name, uri, f"prediction of {row.name} by {name}", k))
    return made


def draw(strip: Strip, side: int = SMALL) -> bytes:
    """All of it as one PNG: a row for each image, a column for the photograph, the truth and each run."""
    with_photos = any(row.photo is not None for row in strip.rows)
    titles = [*(["photograph"] if with_photos else []), "truth", *strip.names]
    sizes = [_fitting(row.truth.shape[0], row.truth.shape[1], side) for row in strip.rows]
    width = max(w for _, w in sizes)
    heights = [h for h, _ in sizes]
    sheet = Image.new(
        "RGB",
        (len(titles) * (width + _GAP) + _GAP, _HEAD + sum(h + _GAP for h in heights)),
        _PAPER,
    )
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(14)
    for column, title in enumerate(titles):
        pen.text((_GAP + column * (width + _GAP), 4), _shortened(title, pen, font, width), fill=_INK, font=font)
    top = _HEAD
    for row, (height, wide) in zip(strip.rows, sizes, strict=True):
        pictures: list[Image.Image | None] = [row.photo] if with_photos else []
        pictures += [None if p is None else _on_paper(p) for p in (row.truth, *row.predictions)]
        for column, picture in enumerate(pictures):
            left = _GAP + column * (width + _GAP)
            if picture is None:
                pen.rectangle((left, top, left + wide - 1, top + height - 1), fill=_ABSENT)
                continue
            # Photographs are smoothed; classes are no colours to mix.
            way = Image.Resampling.LANCZOS if with_photos and column == 0 else Image.Resampling.NEAREST
            sheet.paste(picture.resize((wide, height), way), (left, top))
        top += height + _GAP
    stream = io.BytesIO()
    sheet.save(stream, "PNG", optimize=True)
    return stream.getvalue()


def _fitting(height: int, width: int, side: int) -> tuple[int, int]:
    scale = side / max(height, width)
    return max(1, round(height * scale)), max(1, round(width * scale))


def _shortened(
    text: str, pen: ImageDraw.ImageDraw, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, room: int
) -> str:
    text = printable(text)
    while len(text) > 1 and pen.textlength(text, font=font) > room:
        text = text[:-2].rstrip() + "…"
    return text


def _on_paper(picture: NDArray[np.uint8]) -> Image.Image:
    """RGBA over grey: what is void is seen as such."""
    under = Image.new("RGBA", (picture.shape[1], picture.shape[0]), (*_ABSENT, 255))
    return Image.alpha_composite(under, Image.fromarray(picture, "RGBA")).convert("RGB")
