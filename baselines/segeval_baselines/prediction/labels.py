"""Label maps: PNGs at the images' size, which `segeval score` reads; probabilities and overlays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from segeval.samples.taxonomy import Taxonomy
from segeval.storage.files import write_atomic
from segeval_baselines.prediction.inference import Predictor, View
from segeval_baselines.prediction.outputs import Outputs, npz
from segeval_baselines.prediction.pictures import overlay, png


class LabelsFound(NamedTuple):
    """The classes of one image.

    Attributes
    ----------
    labels
        (H, W) positions in the taxonomy.
    shares
        (classes, H, W) probabilities, where they are wanted.
    """

    labels: NDArray[np.uint8]
    shares: Tensor | None = None


def find_labels(
    predictor: Predictor, image: NDArray[np.uint8], view: View, *, probabilities: bool = False
) -> LabelsFound:
    """The classes of an image (H, W, 3), with their probabilities if they are wanted."""
    if not probabilities:
        return LabelsFound(predictor.labels(image, view))
    scores = predictor.scores(image, view)
    return LabelsFound(scores.argmax(0).cpu().numpy().astype(np.uint8), view.probabilities(scores))


@dataclass(frozen=True)
class LabelFiles:
    """``STEM.png``: class ids, with the taxonomy's colours as palette where ids fit into 8 bits."""

    outputs: Outputs

    signs: ClassVar[tuple[str, ...]] = ("*.png",)
    scored: ClassVar[str] = ""

    def of_image(self, stem: str) -> list[Path]:
        probabilities = [self._probabilities(stem)] if self.outputs.probabilities else []
        return [self._map(stem), *probabilities, *self.outputs.overlay(stem)]

    def write(self, found: LabelsFound, image: NDArray[np.uint8], stem: str, taxonomy: Taxonomy) -> None:
        """The label map comes last."""
        if found.shares is not None:
            shares = found.shares.cpu().numpy().astype(np.float16)
            write_atomic(self._probabilities(stem), npz({"probabilities": shares, "ids": np.array(taxonomy.ids)}))
        for path in self.outputs.overlay(stem):
            write_atomic(path, png(Image.fromarray(overlay(image, found.labels, taxonomy))))
        write_labels(self._map(stem), found.labels, taxonomy)

    def join(self, stems: Sequence[str], taxonomy: Taxonomy) -> None:
        """Label maps stand each for itself."""

    def _map(self, stem: str) -> Path:
        return self.outputs.folder / f"{stem}.png"

    def _probabilities(self, stem: str) -> Path:
        return self.outputs.folder / "probabilities" / f"{stem}.npz"


def write_labels(path: Path, positions: NDArray[np.uint8], taxonomy: Taxonomy) -> Path:
    """Write class ids as a PNG: 8 bits with a palette, or 16 bits where ids need them."""
    ids = np.array(taxonomy.ids)[positions]
    if max(taxonomy.ids) > 255:
        return write_atomic(path, png(Image.fromarray(ids.astype(np.uint16))))
    image = Image.fromarray(ids.astype(np.uint8), mode="P")
    palette = [0] * 768
    for value, colour in zip(taxonomy.ids, taxonomy.colours, strict=True):
        palette[3 * value : 3 * value + 3] = colour
    image.putpalette(palette)
    return write_atomic(path, png(image))
