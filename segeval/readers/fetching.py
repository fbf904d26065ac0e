"""Pairs of images that lie at addresses, fetched ahead of the threads that count them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields

from segeval.errors import SegevalError
from segeval.readers.pairing import PairedSource
from segeval.readers.recognition import recognise_task
from segeval.samples.pairs import Key, Pair
from segeval.storage.mounts import Mount, address_of, mount_of, release, spoken, told_by_address
from segeval.storage.remote import Located, located


@dataclass(frozen=True)
class FetchedPairs(PairedSource):
    """Pairs whose files are fetched ahead of their turn, and emptied after it."""

    mounts: tuple[Mount, ...] = field(default=(), compare=False)

    def expect(self, keys: Iterable[Key]) -> None:
        """Images that will be loaded, in their order."""
        paths: dict[Mount, list[str]] = {mount: [] for mount in self.mounts}
        for key in keys:
            for path in self.files(key):
                if (mount := mount_of(path)) is not None and mount in paths and not path.endswith(".json"):
                    paths[mount].append(path)
        for mount, wanted in paths.items():
            mount.expect(wanted)

    def load(self, key: Key) -> Pair:
        """One image's truth and prediction; the pair, and what is wrong with it, speak of addresses."""
        if not all(mount.expected for mount in self.mounts):
            self.expect(self.keys())
        try:
            pair = super().load(key)
        except SegevalError as error:
            raise spoken(error, self.mounts) from None
        release(self.files(key))
        truth, prediction = (f and address_of(f, self.mounts) for f in (pair.truth_file, pair.prediction_file))
        return pair._replace(truth_file=truth, prediction_file=prediction)


def fetched_pairs(source: PairedSource, places: Sequence[Located]) -> PairedSource:
    """The source, reading ahead if any place stands for an address."""
    mounts = tuple(place.mount for place in places if place.mount is not None)
    if not mounts:
        return source
    return FetchedPairs(**{f.name: getattr(source, f.name) for f in fields(source)}, mounts=mounts)


@told_by_address
def task_at(place: str | os.PathLike[str], suffix: str = "") -> str:
    """The task that a truth is for, wherever it lies; only its files whose names end so are looked at.

    Raises
    ------
    SegevalError
        If it can't be had, or several tasks fit.
    """
    where = located(place)
    return recognise_task(where.path, suffix)
