"""Label maps and segment ids as image files."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segeval.samples.taxonomy import Taxonomy
from segeval.storage.files import write_atomic

# The first level already halves twice what higher ones gain little on, in a tenth of their time.
_COMPRESSION = 1


def write_png(path: Path, pixels: NDArray[Any]) -> None:
    """An array as a PNG: uint8 grey or RGB, or uint16 grey.

    Raises
    ------
    SegevalError
        If the place can't be written to.
    """
    _save(path, Image.fromarray(pixels))


def write_palette(path: Path, labels: NDArray[np.uint8], taxonomy: Taxonomy) -> None:
    """A label map as an 8-bit PNG whose palette holds the classes' colours; what is no class is black."""
    image = Image.fromarray(labels)
    palette = np.zeros((256, 3), np.uint8)
    palette[list(taxonomy.ids)] = taxonomy.colours
    image.putpalette(palette.tobytes())
    _save(path, image)


def _save(path: Path, image: Image.Image) -> None:
    stream = io.BytesIO()
    image.save(stream, "PNG", compress_level=_COMPRESSION)
    write_atomic(path, stream.getvalue())


def colours_of_ids(ids: NDArray[Any]) -> NDArray[np.uint8]:
    """(H, W, 3) colours of segment ids below 2^24, with id = R + 256 G + 65536 B."""
    return np.stack([ids & 255, (ids >> 8) & 255, ids >> 16], axis=-1).astype(np.uint8)
