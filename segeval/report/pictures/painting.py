"""Label maps as pictures: colours, borders, kinds of error, and their encoding into the page."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, features

from segeval.samples.taxonomy import Colour, Taxonomy, distinct_colour

# What a pixel of an error picture may be. Correct pixels stay clear.
CORRECT, WRONG_CLASS, MISSED, INVENTED, POOR, VOID = range(6)

# Colours that stay apart under the common colour blindnesses (Okabe and Ito 2008).
ERROR_COLOURS: dict[int, tuple[int, int, int]] = {
    WRONG_CLASS: (213, 94, 0),
    MISSED: (0, 114, 178),
    INVENTED: (204, 121, 167),
    POOR: (240, 200, 40),
    VOID: (128, 128, 128),
}

# Colours nearer than this (in RGB) are taken for one by a reader.
NEAR = 12.0

# Drawn between segments.
_LINE = (255, 255, 255, 255)
_FAINT_LINE = (128, 128, 128, 150)


def class_colours(taxonomy: Taxonomy) -> tuple[tuple[Colour, ...], tuple[int, ...]]:
    """The taxonomy's colours, with new ones for classes that repeat an earlier class's colour.

    Returns
    -------
    colours
        One for each class.
    replaced
        Positions of the classes that got another colour.
    """
    wanted = np.array(taxonomy.colours, np.float64).reshape(-1, 3)
    replaced = tuple(k for k in range(1, len(wanted)) if _is_near(wanted[k], wanted[:k]))
    taken = np.delete(wanted, replaced, axis=0)
    chosen = list(taxonomy.colours)
    attempt = len(chosen)
    for k in replaced:
        for chosen[k] in map(distinct_colour, range(attempt, attempt + 100)):
            attempt += 1
            if not _is_near(np.array(chosen[k]), taken):
                break
        taken = np.append(taken, [chosen[k]], axis=0)
    return tuple(chosen), replaced


def _is_near(colour: NDArray[Any], others: NDArray[np.float64]) -> bool:
    return bool((((others - colour) ** 2).sum(1) < NEAR**2).any())


def display_size(height: int, width: int, side: int) -> tuple[int, int]:
    """Height and width at which an image is shown: its own, or scaled so that the longer side is `side`."""
    scale = min(1.0, side / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def sample(array: NDArray[Any], height: int, width: int) -> NDArray[Any]:
    """Every pixel from the source pixel under its centre."""
    if array.shape[:2] == (height, width):
        return array
    rows = ((np.arange(height) + 0.5) * (array.shape[0] / height)).astype(np.int64)
    columns = ((np.arange(width) + 0.5) * (array.shape[1] / width)).astype(np.int64)
    return np.ascontiguousarray(array[rows[:, None], columns[None, :]])


def borders(segments: NDArray[Any]) -> NDArray[np.bool_]:
    """Pixels whose right or lower neighbour bears another id."""
    edge = np.zeros(segments.shape, bool)
    edge[:, :-1] |= segments[:, :-1] != segments[:, 1:]
    edge[:-1] |= segments[:-1] != segments[1:]
    return edge


def paint_classes(classes: NDArray[Any], lines: NDArray[np.bool_], colours: tuple[Colour, ...]) -> NDArray[np.uint8]:
    """RGBA of class positions (H, W); positions beyond the classes are clear."""
    table = np.zeros((len(colours) + 1, 4), np.uint8)
    table[:-1, :3] = np.array(colours, np.uint8).reshape(-1, 3)
    table[:-1, 3] = 255
    picture: NDArray[np.uint8] = table[np.minimum(classes, len(colours))]
    picture[lines & (picture[..., 3] > 0)] = _LINE
    return picture


def paint_errors(kinds: NDArray[np.uint8], lines: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """RGBA of kinds of error (H, W), with faint lines for orientation."""
    table = np.zeros((6, 4), np.uint8)
    for kind, colour in ERROR_COLOURS.items():
        table[kind] = *colour, 110 if kind == VOID else 255
    picture: NDArray[np.uint8] = table[kinds]
    picture[lines & (kinds == CORRECT)] = _FAINT_LINE
    return picture


def encode_layer(picture: NDArray[np.uint8]) -> str:
    """RGBA as a data URI, without loss."""
    stream = io.BytesIO()
    image = Image.fromarray(picture, "RGBA")
    if features.check("webp"):
        image.save(stream, "WEBP", lossless=True, quality=60, method=3)
        return _uri("webp", stream)
    image.quantize(256, Image.Quantize.FASTOCTREE).save(stream, "PNG", optimize=True)
    return _uri("png", stream)


def encode_photo(image: Image.Image, height: int, width: int) -> str:
    """A photograph as a data URI at a given size."""
    stream = io.BytesIO()
    small = image.convert("RGB").resize((width, height), Image.Resampling.LANCZOS)
    kind = "webp" if features.check("webp") else "jpeg"
    small.save(stream, kind.upper(), quality=70)
    return _uri(kind, stream)


def _uri(kind: str, stream: io.BytesIO) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(stream.getvalue()).decode()}"
