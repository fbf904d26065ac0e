"""Pictures of predictions, and their bytes."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segeval.samples.taxonomy import Colour, Taxonomy


def overlay(image: NDArray[np.uint8], positions: NDArray[np.uint8], taxonomy: Taxonomy) -> NDArray[np.uint8]:
    """Half image, half class colours."""
    colours = np.array(taxonomy.colours, np.uint16)[positions]
    mixed: NDArray[np.uint8] = ((image.astype(np.uint16) + colours) // 2).astype(np.uint8)
    return mixed


def outlined(image: NDArray[np.uint8], ids: NDArray[Any], colours: Sequence[Colour]) -> NDArray[np.uint8]:
    """Half image, half the colour of what has the id from 1 on, with white lines where ids change."""
    table = np.array([(0, 0, 0), *colours], np.uint16)[ids]
    mixed = np.where((ids > 0)[..., None], (image.astype(np.uint16) + table) // 2, image).astype(np.uint8)
    border = np.zeros(ids.shape, bool)
    border[:, 1:] |= ids[:, 1:] != ids[:, :-1]
    border[1:] |= ids[1:] != ids[:-1]
    mixed[border] = 255
    return mixed


def png(image: Image.Image) -> bytes:
    """A picture as the bytes of a PNG."""
    stream = io.BytesIO()
    image.save(stream, format="png")
    return stream.getvalue()
