"""Data that lie elsewhere, as a folder of this machine: files are there by name at once, and by content when read.

A mount lists what a store holds and makes an empty file for each name, so every reader works as on a local folder. A
reader asks `present` before it opens a file; then the content is fetched, and with it, in threads, what comes next.
Once an image is loaded its files are emptied again, so disk and memory hold only what is under way.
"""

from __future__ import annotations

import functools
import os
import shutil
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import ContextVar
from pathlib import Path, PurePosixPath
from typing import ParamSpec, Protocol, TypeVar

from segeval.errors import SegevalError

# Requests at a time: with 50 ms of latency 640 files a second.
THREADS = 32
# Files fetched ahead of the one that is wanted.
AHEAD = 96

Name = TypeVar("Name", str, Path)


class Store(Protocol):
    """Where files come from; `read` is called from many threads."""

    def names(self) -> dict[str, float]:
        """The files by relative path, and when each was changed (0 if unknown)."""
        ...

    def read(self, name: str) -> bytes:
        """The content of a file."""
        ...


P = ParamSpec("P")
T = TypeVar("T")

# The mounts that were made in the call of a `told_by_address` function that is under way.
_scope: ContextVar[list[Mount] | None] = ContextVar("mounts", default=None)

_mounts: weakref.WeakValueDictionary[str, Mount] = weakref.WeakValueDictionary()


class Mount:
    """A store as a temporary folder, which goes when the mount does.

    Parameters
    ----------
    store
        Where the files come from.
    address
        What messages call it.

    Raises
    ------
    SegevalError
        If a name would lead out of the folder.
    """

    def __init__(self, store: Store, address: str) -> None:
        self.store, self.address = store, address
        self.root = Path(tempfile.mkdtemp(prefix="segeval-mount-"))
        self._prefix = f"{self.root}{os.sep}"
        self._lock = threading.Lock()
        self._under_way: dict[str, Future[None]] = {}
        self._done: set[str] = set()
        self._places: dict[str, int] = {}
        self._order: list[str] = []
        self.expected = False
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="segeval-fetch")
        weakref.finalize(self, _close, self._pool, self.root)
        _mounts[self._prefix] = self
        if (scope := _scope.get()) is not None:
            scope.append(self)
        try:
            names = store.names()
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise _unreachable(address, error) from None
        self._lay_out(names)

    def _lay_out(self, names: dict[str, float]) -> None:
        made: set[Path] = set()
        for name in sorted(names):
            parts = PurePosixPath(name).parts
            if not parts or ".." in (*parts, *Path(name).parts) or PurePosixPath(name).anchor or Path(name).anchor:
                raise SegevalError(
                    f"holds the name {name!r}, which leads out of it", file=self.address, remedy="pack it again"
                )
            path = self.root.joinpath(*parts)
            if path.parent not in made:
                path.parent.mkdir(parents=True, exist_ok=True)
                made.add(path.parent)
            path.touch()
            os.utime(path, (names[name], names[name]))
            self._places[str(path)] = len(self._order)
            self._order.append(str(path))

    @property
    def names(self) -> dict[str, str]:
        """What people call the paths in it: by the leading part of the path that of the address."""
        return {str(self.root): self.address.rstrip("/")}

    def holds(self, path: str) -> bool:
        """Whether a path lies in this mount."""
        return path.startswith(self._prefix)

    def expect(self, paths: Iterable[str]) -> None:
        """Files that will be wanted, in their order; what lies beyond is then not fetched ahead."""
        with self._lock:
            if not self.expected:
                self.expected, self._order, self._places = True, [], {}
            for path in paths:
                self._places[path] = len(self._order)
                self._order.append(path)

    def fetch(self, path: str) -> None:
        """Have the content of a file, and start to fetch what comes after it.

        Raises
        ------
        SegevalError
            If it can't be had.
        """
        with self._lock:
            # A file that was there and was emptied is wanted once more.
            self._done.discard(path)
            wanted = self._request(path)
            at = self._places.get(path)
            if at is not None:
                for following in self._order[at + 1 : at + 1 + AHEAD]:
                    if following not in self._done:
                        self._request(following)
        if wanted is not None:
            wanted.result()

    def _request(self, path: str) -> Future[None] | None:
        if path not in self._under_way and Path(path).is_file():
            self._under_way[path] = self._pool.submit(self._write, path)
        return self._under_way.get(path)

    def _write(self, path: str) -> None:
        name = Path(path).relative_to(self.root).as_posix()
        try:
            data = self.store.read(name)
        except SegevalError:
            raise
        except Exception as error:
            # Each kind of store has errors of its own; all of them say that the file can't be had.
            raise _unreachable(f"{self.address.rstrip('/')}/{name}", error) from None
        Path(path).write_bytes(data)

    def release(self, path: str) -> None:
        """Empty a file that is no longer wanted; tables in JSON stay."""
        if path.endswith(".json"):
            return
        with self._lock:
            if self._under_way.pop(path, None) is not None:
                self._done.add(path)
                os.truncate(path, 0)


def _close(pool: ThreadPoolExecutor, root: Path) -> None:
    pool.shutdown(wait=False, cancel_futures=True)
    shutil.rmtree(root, ignore_errors=True)


def _unreachable(address: str, error: BaseException) -> SegevalError:
    reason = " ".join(str(error).split())[:120] or type(error).__name__
    return SegevalError(
        f"can't be fetched ({type(error).__name__}: {reason})", file=address, remedy="check address and credentials"
    )


def told_by_address(function: Callable[P, T]) -> Callable[P, T]:
    """Let a function's errors speak of addresses, where it would speak of the folders that stand for them."""

    @functools.wraps(function)
    def told(*args: P.args, **kwargs: P.kwargs) -> T:
        outer, own = _scope.get(), []  # type: ignore[var-annotated]
        token = _scope.set(own)
        try:
            return function(*args, **kwargs)
        except SegevalError as error:
            raise spoken(error, own) from None
        finally:
            _scope.reset(token)
            if outer is not None:
                outer += own

    return told


def spoken(error: SegevalError, mounts: Iterable[Mount]) -> SegevalError:
    """An error as people would say it: with addresses."""
    names = {prefix: address for mount in mounts for prefix, address in mount.names.items()}
    return error.renamed(names) if names else error


def address_of(path: str, mounts: Iterable[Mount]) -> str:
    """What people call a path in one of some mounts; any other as it is."""
    for mount in mounts:
        for prefix, address in mount.names.items():
            path = path.replace(prefix, address)
    return path


def mount_of(path: str | Path) -> Mount | None:
    """The mount that a path lies in."""
    if not _mounts:
        return None
    text = str(path)
    return next((mount for mount in list(_mounts.values()) if mount.holds(text)), None)


def present(path: Name) -> Name:
    """The same path, once its content is there.

    Raises
    ------
    SegevalError
        If it lies elsewhere and can't be fetched.
    """
    if _mounts and (mount := mount_of(path)) is not None:
        mount.fetch(str(path))
    return path


def release(paths: Sequence[str]) -> None:
    """Empty the files of an image that has been loaded, where they were fetched."""
    for path in paths:
        if (mount := mount_of(path)) is not None:
            mount.release(path)
