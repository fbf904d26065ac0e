"""Counting on the workers of dask.distributed: keys go out, tallies come back."""

from __future__ import annotations

import importlib
import pickle
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from segeval.errors import SegevalError
from segeval.evidence.tally import PackedTally
from segeval.metrics.metric import Metric
from segeval.readers.counted import pairs_of
from segeval.readers.fetching import FetchedPairs
from segeval.readers.protocol import Source
from segeval.samples.pairs import Key
from segeval.storage.mounts import spoken
from segeval.threads import available_workers

# Seconds of counting that go out at once: a message costs some milliseconds, whatever it brings. At the end fewer, so
# that no worker is long at the last shard while others have none.
SHARD_SECONDS, LEAST_SECONDS = 1.0, 0.03
# Images of the first shards, whose pace isn't known, and of any.
FIRST_IMAGES, MOST_IMAGES = 16, 4096

# What dask does besides, every few milliseconds (profiles, the lag of its loops, the state of the system), takes 6 %
# of a small machine's time, and nobody looks at it here.
QUIET = {
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.system-monitor.interval": "5s",
}

# Shards on their way, for each thread of the cluster: one to count and one to come.
IN_FLIGHT = 2

# How often a shard is given to another worker after an error that is not the data's (a disk that stalls, say).
RETRIES = 2

Opener = Callable[[], tuple[Source, Metric]]

_opened: dict[str, tuple[Source, Metric]] = {}
_opening = threading.Lock()


def count_shard(token: str, opener: bytes, keys: bytes, collapse: bool) -> tuple[PackedTally, float] | SegevalError:
    """Count some images on a worker, which opens the data once and keeps them open.

    What is wrong with the data comes back as a value: trying again elsewhere would find the same.

    Parameters
    ----------
    token
        Stands for what the opener opens.
    opener, keys
        The opener and the images, pickled: dask would look into every key for something to compute.
    collapse
        Fold the rows before they travel.

    Returns
    -------
    tally, seconds
        What was counted, and how long it took.
    """
    try:
        with _opening:
            if token not in _opened:
                _opened.clear()
                _opened[token] = pickle.loads(opener)()
        source, metric = _opened[token]
        chunk = pickle.loads(keys)
        if isinstance(source, FetchedPairs):
            source.expect(chunk)
        start = time.perf_counter()
        tally = metric.observe(pairs_of(source, chunk, metric))
        packed = PackedTally.of(tally.collapse() if collapse else tally)
        return packed, time.perf_counter() - start
    except SegevalError as error:
        mounts = getattr(_opened[token][0], "mounts", ()) if token in _opened else ()
        return spoken(error, mounts)


@dataclass
class Cutter:
    """Cuts keys into shards of about a second: each takes its share of half of what is left (guided self-scheduling).

    Parameters
    ----------
    keys
        The images.
    slots
        Threads that count.
    """

    keys: Sequence[Key]
    slots: int
    pace: float = 0.0
    _done: int = 0

    def __iter__(self) -> Iterator[Sequence[Key]]:
        while self._done < len(self.keys):
            start = self._done
            self._done += self._size(len(self.keys) - start)
            yield self.keys[start : self._done]

    def _size(self, left: int) -> int:
        most, least = FIRST_IMAGES, 1
        if self.pace:
            most = min(MOST_IMAGES, int(SHARD_SECONDS / self.pace))
            least = min(most, int(LEAST_SECONDS / self.pace))
        return max(1, least, min(most, left // (2 * self.slots)))


@contextmanager
def local_cluster(workers: int) -> Iterator[Any]:
    """Processes of this machine, of one thread each, which do little but count."""
    dask = _distributed()
    settings = importlib.import_module("dask").config
    with (
        settings.set(QUIET),
        dask.LocalCluster(
            n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50
        ) as cluster,
    ):
        yield cluster


def _distributed() -> Any:
    """The package, which comes with the extra."""
    try:
        return importlib.import_module("distributed")
    except ImportError:
        raise SegevalError("dask.distributed is not installed", remedy="pip install 'segeval[dask]'") from None


def open_cluster(address: str, opener: Opener, workers: int | None = None, *, collapse: bool = False) -> DaskEngine:
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
    return DaskEngine(opener, place, workers, collapse)


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
    collapse
        Fold the rows of a shard where it is counted.
    """

    opener: Opener
    place: str = ""
    workers: int | None = None
    collapse: bool = False

    def tallies(self, keys: Sequence[Key]) -> Iterator[tuple[Sequence[Key], PackedTally]]:
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
        with local_cluster(self.workers or available_workers()) as cluster, dask.Client(cluster) as client:
            yield from self.on(client, keys)

    def on(self, client: Any, keys: Sequence[Key]) -> Iterator[tuple[Sequence[Key], PackedTally]]:
        """The same on a client that is at hand; at most `IN_FLIGHT` shards a thread are out at any time."""
        dask = _distributed()
        slots = max(1, sum(client.nthreads().values()))
        cutter = Cutter(keys, slots)
        waiting = iter(cutter)
        opener = pickle.dumps(self.opener)
        token = f"{zlib.crc32(opener):08x}-{id(self):x}-{client.id}"
        chunks: dict[str, Sequence[Key]] = {}

        def send() -> Any:
            chunk = next(waiting, None)
            if chunk is None:
                return None
            words = (token, opener, pickle.dumps(chunk), self.collapse)
            future = client.submit(count_shard, *words, pure=False, retries=RETRIES)
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
            tally, seconds = found
            cutter.pace = seconds / len(chunk)
            following = send()
            if following is not None:
                running.add(following)
            yield chunk, tally
