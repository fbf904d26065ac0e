"""One pass over a training split: class frequencies, mean and spread of the colours; kept on disk."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from segeval.errors import SegevalError
from segeval.storage.files import write_atomic
from segeval_baselines.data.folders import FolderPair
from segeval_baselines.data.samples import VOID, Samples


@dataclass(frozen=True)
class Survey:
    """What a pass over a split tells.

    Attributes
    ----------
    pixels
        Pixels of each class.
    present
        Labelled pixels of the images in which each class occurs.
    mean, std
        Of the RGB values in [0, 1], per channel.
    """

    pixels: tuple[int, ...]
    present: tuple[int, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def frequencies(self) -> list[float]:
        """Each class's share of the labelled pixels."""
        total = max(sum(self.pixels), 1)
        return [p / total for p in self.pixels]

    def median_frequency_weights(self) -> list[float]:
        """median(f) / f, f a class's pixels over the labelled pixels of the images that have it; 0 for no pixels."""
        f = np.array([p / q if q else 0.0 for p, q in zip(self.pixels, self.present, strict=True)])
        if not f.any():
            return [0.0] * len(f)
        median = float(np.median(f[f > 0]))
        return [median / x if x else 0.0 for x in f.tolist()]


class Levels:
    """How often each value of each channel occurs in images."""

    def __init__(self) -> None:
        self.counts = np.zeros((3, 256), np.int64)

    def add(self, image: NDArray[np.uint8]) -> None:
        """Count an image (H, W, 3)."""
        for channel in range(3):
            self.counts[channel] += np.bincount(image[..., channel].reshape(-1), minlength=256)

    def mean_and_spread(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and standard deviation of the values in [0, 1], per channel."""
        value, total = np.arange(256) / 255.0, max(int(self.counts[0].sum()), 1)
        mean = self.counts @ value / total
        std = np.sqrt(np.maximum(self.counts @ value**2 / total - mean**2, 0.0))
        return tuple(round(float(m), 6) for m in mean), tuple(max(round(float(s), 6), 1e-3) for s in std)


def survey(samples: Samples, *, cache: Path | None = None) -> Survey:
    """Count a split, or read what an earlier pass over the same files counted.

    Parameters
    ----------
    samples
        The split.
    cache
        Folder of earlier counts; ``$XDG_CACHE_HOME/segeval`` if None. Only folders on disk are cached, under their
        files' names, sizes and times.
    """
    place = _place(samples, cache)
    if place is not None and place.is_file():
        try:
            data = json.loads(place.read_text())
            return Survey(*(tuple(data[name]) for name in ("pixels", "present", "mean", "std")))
        except (OSError, ValueError, KeyError, TypeError):
            pass
    counted = _count(samples)
    if place is not None:
        # A home that can't be written to costs the next run a pass, nothing else.
        with contextlib.suppress(SegevalError):
            write_atomic(place, json.dumps(asdict(counted)))
    return counted


def _count(samples: Samples) -> Survey:
    classes, levels = len(samples.taxonomy), Levels()
    pixels, present = np.zeros(classes, np.int64), np.zeros(classes, np.int64)
    for key in samples.keys():
        sample = samples.load(key)
        here = np.bincount(sample.labels.reshape(-1), minlength=VOID + 1)[:classes]
        pixels += here
        present += np.where(here > 0, here.sum(), 0)
        levels.add(sample.image)
    return Survey(tuple(pixels.tolist()), tuple(present.tolist()), *levels.mean_and_spread())


def _place(samples: Samples, cache: Path | None) -> Path | None:
    if not isinstance(samples, FolderPair):
        return None
    digest = hashlib.sha256(repr((samples.taxonomy, samples.void)).encode())
    for folder in (samples.images, samples.labels):
        for key, path in folder.items():
            seen = path.stat()
            digest.update(f"{key}\0{path}\0{seen.st_size}\0{seen.st_mtime_ns}\n".encode())
    home = cache or Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "segeval"
    return home / "surveys" / f"{digest.hexdigest()[:24]}.json"
