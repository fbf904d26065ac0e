"""Counting on the workers of dask.distributed: keys go out, tallies come back."""

from __future__ import annotations

import importlib
import pickle
import threading
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from segeval.collecting import collector_paused
from segeval.errors import SegevalError
from segeval.metric import Metric
from segeval.readers.protocol import Source
from segeval.readers.remote import FetchedPairs
from segeval.samples import Key
from segeval.tally import Tally
from segeval.workers import available_workers

# Images that go out at once: enough that a message is cheap beside reading them.
MOST_IMAGES = 256

# Shards on their way, for each thread of the cluster: one to count and one to come.
IN_FLIGHT = 2

# How often a shard is given to another worker after an error that is not the data's (a disk that stalls, say).
RETRIES = 2

Opener = Callable[[], tuple[Source, Metric]]

_opened: dict[str, tuple[Source, Metric]] = {}
_opening = threading.Lock()


def count_shard(token: str, opener: Opener, keys: Sequence[Key]) -> Tally | SegevalError:
    """Count some images on a worker, which opens the data once and keeps them open.

    What is wrong with the data comes back as a value: trying again elsewhere would find the same.
    """
    try:
        with _opening:
            if token not in _opened:
                _opened.clear()
                _opened[token] = opener()
        source, metric = _opened[token]
        if isinstance(source, FetchedPairs):
            source.expect(keys)
        with collector_paused():
            return metric.observe(source.load(key) for key in keys)
    except SegevalError as error:
        return error


def _distributed() -> Any:
    """The package, which comes with the extra."""
    try:
        return importlib.import_module("distributed")
    except ImportError:
        raise SegevalError("dask.distributed is not installed", remedy="pip install 'segeval[dask]'") from None


def open_cluster(address: str, opener: Opener, workers: int | None = None) -> DaskEngine:
    """The engine of ``dask`` (processes of this machine) or ``dask://host:port`` (a running scheduler).

    Raises
    ------
    SegevalError
        If the address is no engine, or dask.distributed is not installed.
    """
    name, _, place = address.partition("://")
    if name != "dask" or ("://" in address and not place):
        raise SegevalError(f"{address!r} is no engine", remedy="give dask or dask://host:port")
    if place and workers is not None:
        raise SegevalError("a running cluster has its own workers", remedy="leave out --workers")
    _distributed()
    return DaskEngine(opener, place, workers)


@dataclass(frozen=True)
class DaskEngine:
    """Counts on a cluster.

    Parameters
    ----------
    opener
        Opens source and rule; every worker calls it once.
    place
        ``host:port`` of a scheduler; processes of this machine if empty.
    workers
        So many processes, where they are of this machine; as many as there are cores if None.
    """

    opener: Opener
    place: str = ""
    workers: int | None = None

    def tallies(self, keys: Sequence[Key]) -> Iterator[tuple[Sequence[Key], Tally]]:
        """Shards with their tallies, as they come back."""
        dask = _distributed()
        if self.place:
            try:
                client = dask.Client(f"tcp://{self.place}", timeout=10)
            except (OSError, ValueError) as error:
                raise SegevalError(
                    f"no scheduler answers at {self.place} ({error})", remedy="start one with dask scheduler"
                ) from None
            with client:
                yield from self.on(client, keys)
            return
        count = self.workers or available_workers()
        with (
            dask.LocalCluster(
                n_workers=count, threads_per_worker=1, processes=True, dashboard_address=":0", silence_logs=50
            ) as cluster,
            dask.Client(cluster) as client,
        ):
            yield from self.on(client, keys)

    def on(self, client: Any, keys: Sequence[Key]) -> Iterator[tuple[Sequence[Key], Tally]]:
        """The same on a client that is at hand; at most `IN_FLIGHT` shards a thread are out at any time."""
        dask = _distributed()
        slots = max(1, sum(client.nthreads().values()))
        size = max(1, min(MOST_IMAGES, len(keys) // (4 * slots)))
        waiting = iter([keys[i : i + size] for i in range(0, len(keys), size)])
        token = f"{zlib.crc32(pickle.dumps(self.opener)):08x}-{id(self):x}-{client.id}"
        chunks: dict[str, Sequence[Key]] = {}

        def send() -> Any:
            chunk = next(waiting, None)
            if chunk is None:
                return None
            future = client.submit(count_shard, token, self.opener, chunk, pure=False, retries=RETRIES)
            chunks[future.key] = chunk
            return future

        running = dask.as_completed([f for f in (send() for _ in range(IN_FLIGHT * slots)) if f is not None])
        for future in running:
            chunk = chunks.pop(future.key)
            try:
                found = future.result()
            except dask.KilledWorker:
                raise SegevalError(
                    f"{len(chunk)} images from this one on killed every worker that counted them",
                    key=chunk[0],
                    remedy="give the workers more memory",
                ) from None
            if isinstance(found, SegevalError):
                raise found
            following = send()
            if following is not None:
                running.add(following)
            yield chunk, found
