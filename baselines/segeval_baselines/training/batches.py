"""The stream of training batches: a function of seed and step, so that resuming needs no state."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import count
from typing import Generic, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from segeval.errors import SegevalError
from segeval.losses import border_weight_map
from segeval_baselines.data.augment import random_view, rescale
from segeval_baselines.data.samples import Sample, Samples
from segeval_baselines.layers.blocks import Size
from segeval_baselines.recipes import BORDER_LOSS, Recipe

# Decoded samples are kept up to this many bytes; beyond, they are read again in every epoch.
_KEPT = 4 * 2**30

T = TypeVar("T")
V = TypeVar("V")
B = TypeVar("B")

LabelView = tuple[Tensor, Tensor, Tensor | None]
"""Image, labels, and the weights of pixels if the recipe's loss has them."""


class Batch(NamedTuple):
    """Images (N, 3, h, w) in [0, 1], labels (N, h, w) of int64, and weights (N, h, w) if the recipe's loss has them."""

    images: Tensor
    labels: Tensor
    weights: Tensor | None = None


class Weighted(NamedTuple):
    """A sample and the weights (H, W) of its pixels, of float16 because they are many; or None."""

    sample: Sample
    weights: NDArray[np.float16] | None

    @property
    def nbytes(self) -> int:
        """Bytes of what is kept."""
        parts = (self.sample.image, self.sample.labels, self.weights)
        return sum(part.nbytes for part in parts if part is not None)


def run_ahead(make: Callable[[int], Callable[[], T]], start: int, threads: int) -> Iterator[T]:
    """The results of `make(step)()` from a step on, made ahead on threads if there are any; `make` runs here."""
    if threads == 0:
        for step in count(start):
            yield make(step)()
    pool = ThreadPoolExecutor(threads)
    try:
        ahead: list[Future[T]] = []
        for step in count(start):
            ahead.append(pool.submit(make(step)))
            if len(ahead) > 2 * threads:
                yield ahead.pop(0).result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


class EpochOrder:
    """The key at each place of an endless sequence: each epoch is a fresh permutation.

    Parameters
    ----------
    keys, seed
        What is permuted, and from which seed.
    """

    def __init__(self, keys: Sequence[str], seed: int) -> None:
        self.keys, self.seed = list(keys), seed
        self._epoch: tuple[int, list[int]] = (-1, [])

    def __getitem__(self, place: int) -> str:
        epoch, within = divmod(place, len(self.keys))
        if self._epoch[0] != epoch:
            order = np.random.default_rng((self.seed, 1, epoch)).permutation(len(self.keys)).tolist()
            self._epoch = (epoch, order)
        return self.keys[self._epoch[1][within]]


class Kept(Generic[T]):
    """Samples by key, loaded once while there is room.

    Parameters
    ----------
    load
        Reads a sample.
    size
        Its bytes.
    """

    def __init__(self, load: Callable[[str], T], size: Callable[[T], int]) -> None:
        self._load, self._size = load, size
        self._kept: dict[str, T] = {}
        self._bytes = 0

    def __getitem__(self, key: str) -> T:
        if key in self._kept:
            return self._kept[key]
        sample = self._load(key)
        if self._bytes < _KEPT:
            self._kept[key] = sample
            self._bytes += self._size(sample)
        return sample


class BatchStream(Generic[V, B]):
    """Batches of random views, a function of seed and step.

    Parameters
    ----------
    keys, recipe, seed
        Of what, how, and from which seed.
    rank, size
        Which share of each batch is this process's.
    """

    def __init__(self, keys: Sequence[str], recipe: Recipe, seed: int, rank: int, size: int) -> None:
        self.recipe, self.seed = recipe, seed
        self.slots = range(rank, recipe.batch, size)
        self._order = EpochOrder(keys, seed)

    def view(self, rng: np.random.Generator, key: str) -> V:
        """A random view of a sample."""
        raise NotImplementedError

    def collated(self, views: Sequence[V]) -> B:
        """The batch of some views."""
        raise NotImplementedError

    def batch(self, step: int) -> B:
        """The batch of a step, counted from 0."""
        return self._making(step)()

    def batches(self, start: int, threads: int = 0) -> Iterator[B]:
        """Batches from a step on, made ahead on threads if there are any."""
        return run_ahead(self._making, start, threads)

    def _making(self, step: int) -> Callable[[], B]:
        keys = [self._order[step * self.recipe.batch + slot] for slot in self.slots]

        def make() -> B:
            seeds = ((self.seed, 2, step, slot) for slot in self.slots)
            views = [self.view(np.random.default_rng(s), key) for s, key in zip(seeds, keys, strict=True)]
            return self.collated(views)

        return make


class Stream(BatchStream[LabelView, Batch]):
    """Batches of random views of label maps.

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
        super().__init__(samples.keys(), recipe, seed, rank, size)
        self.samples, self.border = samples, border
        self._kept: Kept[Weighted] = Kept(self._load, lambda kept: kept.nbytes)
        self.target: Size = recipe.crop or self._kept[self._order.keys[0]].sample.labels.shape

    def _load(self, key: str) -> Weighted:
        sample, recipe = rescale(self.samples.load(key), self.recipe.image_scale), self.recipe
        if recipe.loss != BORDER_LOSS:
            return Weighted(sample._replace(instances=None), None)
        if sample.instances is None:
            text = f"{self.samples.name} has no objects, which the loss {recipe.loss} weighs the borders of"
            raise SegevalError(text, remedy="train on nuclei:PATH or instances:PATH, or take another --loss")
        shape = {name: value for name, value in recipe.loss_options if name in ("w0", "sigma")}
        # As the paper does: once for each image, so that a zoomed view has its weights zoomed too.
        weights = border_weight_map(sample.instances, **shape).astype(np.float16)
        return Weighted(sample._replace(instances=None), weights)

    def view(self, rng: np.random.Generator, key: str) -> LabelView:
        sample, weights = self._kept[key]
        return random_view(rng, sample, self.target, self.recipe, self.border, weights)

    def collated(self, views: Sequence[LabelView]) -> Batch:
        weighed = [v[2] for v in views if v[2] is not None]
        images, labels = torch.stack([v[0] for v in views]), torch.stack([v[1] for v in views])
        return Batch(images, labels, torch.stack(weighed) if weighed else None)
