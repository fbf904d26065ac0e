"""The stream of training batches: a function of seed and step, so that resuming needs no state."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import count
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from segeval_baselines.augment import random_view, rescale
from segeval_baselines.blocks import Size
from segeval_baselines.datasets import Sample, Samples
from segeval_baselines.recipes import Recipe

# Decoded samples are kept up to this many bytes; beyond, they are read again in every epoch.
_KEPT = 4 * 2**30


class Batch(NamedTuple):
    """Images (N, 3, h, w) in [0, 1] and labels (N, h, w) of int64."""

    images: Tensor
    labels: Tensor


class Stream:
    """Batches of random views.

    Parameters
    ----------
    samples, recipe, seed
        What is drawn from, how, and from which seed.
    border
        Context that the network needs around its output.
    rank, size
        Which share of each batch is this process's.
    """

    def __init__(
        self, samples: Samples, recipe: Recipe, seed: int, *, border: int = 0, rank: int = 0, size: int = 1
    ) -> None:
        self.samples, self.recipe, self.seed, self.border = samples, recipe, seed, border
        self.slots = range(rank, recipe.batch, size)
        self._keys = list(samples.keys())
        self._kept: dict[str, Sample] = {}
        self._bytes = 0
        self.target: Size = recipe.crop or self._load(self._keys[0]).labels.shape
        self._order: tuple[int, list[int]] = (-1, [])

    def _load(self, key: str) -> Sample:
        if key in self._kept:
            return self._kept[key]
        sample = rescale(self.samples.load(key), self.recipe.image_scale)
        if self._bytes < _KEPT:
            self._kept[key] = sample
            self._bytes += sample.image.nbytes + sample.labels.nbytes
        return sample

    def _key(self, place: int) -> str:
        """The key at a place of the endless sequence: each epoch is a fresh permutation."""
        epoch, within = divmod(place, len(self._keys))
        if self._order[0] != epoch:
            order = np.random.default_rng((self.seed, 1, epoch)).permutation(len(self._keys)).tolist()
            self._order = (epoch, order)
        return self._keys[self._order[1][within]]

    def batch(self, step: int) -> Batch:
        """The batch of a step, counted from 0."""
        places = [step * self.recipe.batch + slot for slot in self.slots]
        return self._assemble(step, [self._key(place) for place in places])

    def _assemble(self, step: int, keys: list[str]) -> Batch:
        views = []
        for slot, key in zip(self.slots, keys, strict=True):
            rng = np.random.default_rng((self.seed, 2, step, slot))
            views.append(random_view(rng, self._load(key), self.target, self.recipe, self.border))
        return Batch(torch.stack([v[0] for v in views]), torch.stack([v[1] for v in views]))

    def batches(self, start: int, threads: int = 0) -> Iterator[Batch]:
        """Batches from a step on, made ahead on threads if there are any."""
        if threads == 0:
            yield from map(self.batch, count(start))
            return
        pool = ThreadPoolExecutor(threads)
        try:
            ahead: list[Future[Batch]] = []
            for step in count(start):
                places = [step * self.recipe.batch + slot for slot in self.slots]
                ahead.append(pool.submit(self._assemble, step, [self._key(place) for place in places]))
                if len(ahead) > 2 * threads:
                    yield ahead.pop(0).result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
