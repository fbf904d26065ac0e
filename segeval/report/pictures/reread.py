"""Reading once more what a run was made of: its recorded files, and photographs beside them."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image

from segeval.errors import SegevalError
from segeval.metrics.instance.rule import InstanceAP
from segeval.metrics.metric import Metric
from segeval.metrics.semantic.rule import SemanticIoU
from segeval.metrics.tasks import TASKS
from segeval.readers.coco.tables import file_stem, image_entries, read_tables
from segeval.readers.listing import is_hidden, plain_name
from segeval.readers.pairing import PairedSource
from segeval.readers.reading import Reading
from segeval.readers.sources import open_pairs
from segeval.report.pictures.instance_layers import instance_layers
from segeval.report.pictures.layers import Layers, panoptic_layers, semantic_layers
from segeval.results.result import Result
from segeval.samples.pairs import Key
from segeval.samples.taxonomy import Taxonomy

PHOTOS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")


class Files:
    """The recorded files of one run.

    Parameters
    ----------
    result
        A run with its evidence.
    taxonomy
        The classes, in the order of the layers' positions.

    Raises
    ------
    SegevalError
        If they are gone, or the run does not say where they were.
    """

    def __init__(self, result: Result, taxonomy: Taxonomy) -> None:
        self.rule: Metric = result.metric
        panoptic = self.rule.reads == "panoptic"
        reading = Reading.of_run(result.provenance, taxonomy if panoptic else self.rule.taxonomy)
        # What a package's rule reads is shown by our own rule of the same images.
        own: Any = TASKS[self.rule.reads]
        self.shown: Any = self.rule if isinstance(self.rule, own) else own()
        self.taxonomy = taxonomy
        self.least = 0.0
        self.names: dict[Key, str] = {}
        if panoptic:
            self.shown = replace(self.shown, taxonomy=taxonomy)
        void, masks = self.shown.void_values if panoptic else None, getattr(self.shown, "iou", "segm") != "bbox"
        self.source: PairedSource = open_pairs(reading, self.rule.reads, void=void, masks=masks)
        if isinstance(self.shown, InstanceAP):
            rows = self.rule.per_image(result.tally) if result.tally is not None else []
            self.least = float(rows[0].get("score", 0.0)) if rows else 0.0
            self.shown = replace(self.shown, diagnose=True)
            if self.source.truth.by_id:
                entries = image_entries(read_tables(Path(reading.gt)))
                self.names = {key: stem for key, entry in entries.items() if (stem := file_stem(entry))}
        tally = result.tally
        self.digests = {} if tally is None else dict(zip(tally.keys, tally.digests.tolist(), strict=True))

    def name(self, key: Key) -> str:
        """The name under which the image pairs with files."""
        return self.names.get(key) or self.source.truth.name(key)

    def layers(self, key: Key, side: int) -> Layers:
        """What is to be shown of one image, its longer side at most `side` pixels.

        Raises
        ------
        SegevalError
            If a file is gone, damaged, or another one than was scored.
        """
        if key not in self.source.pairs:
            raise SegevalError("its files are gone", key=key)
        pair = self.source.load(key)
        seen = self.rule.observe([pair])
        if int(seen.digests[0]) != self.digests.get(key):
            raise SegevalError("its truth has changed since it was scored", key=key)
        if isinstance(self.shown, SemanticIoU):
            return semantic_layers(self.shown, pair, self.taxonomy, side)
        if isinstance(self.shown, InstanceAP):
            return instance_layers(self.shown, self.shown.observe([pair]), pair, self.taxonomy, side, self.least)
        return panoptic_layers(self.shown, pair, self.taxonomy, side)


class Photos:
    """Photographs of a folder, found by the names of the images."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        root = Path(folder)
        if not root.is_dir():
            raise SegevalError("no such folder", file=root, remedy="give --images the folder of photographs")
        self.files: dict[str, Path] = {}
        for path in sorted(root.rglob("*")):
            if path.suffix.lower() in PHOTOS and not is_hidden(path.name):
                whole = path.relative_to(root).with_suffix("").as_posix()
                for name in (whole, plain_name(whole), plain_name(whole).rpartition("/")[2]):
                    self.files.setdefault(name, path)
        if not self.files:
            raise SegevalError("holds no photographs", file=root, remedy="give the folder of photographs")

    def load(self, name: str, height: int, width: int) -> Image.Image | None:
        """The photograph of an image, or None if there is none of its shape."""
        plain = plain_name(name)
        path = next((self.files[n] for n in (name, plain, plain.rpartition("/")[2]) if n in self.files), None)
        if path is None:
            return None
        try:
            with Image.open(path) as image:
                image.draft("RGB", (width, height))
                image.load()
                fits = abs(image.width * height - image.height * width) <= 0.02 * image.width * height
                return image.convert("RGB") if fits else None
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            return None
