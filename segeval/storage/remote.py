"""Addresses: what `--pred` and `--gt` take besides paths of this machine.

- anything fsspec opens: ``s3://bucket/val``, ``gs://``, ``az://``, ``hf://``, ``memory://``, ``zip://val::s3://b/x.zip``
- archives: ``val.zip``, ``val.tar``, ``val.tar.gz``, also far away (``s3://bucket/val.tar``)
- a folder or a file in an archive of this machine: ``val.zip/masks``
- shards as WebDataset writes them: ``data-{000..031}.tar#seg.png``, the members named ``KEY.seg.png``
"""

from __future__ import annotations

import datetime
import importlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from segeval.errors import SegevalError
from segeval.storage.archives import ARCHIVES, Bytes, LocalBytes, expand_braces, open_archives
from segeval.storage.mounts import Mount, Store


class Located(NamedTuple):
    """A path of this machine, and the mount that keeps it alive, if it stands for an address."""

    path: Path
    mount: Mount | None = None


def is_address(place: str | os.PathLike[str]) -> bool:
    """Whether a place is something else than a path of this machine."""
    text = os.fspath(place)
    if "://" in text or "::" in text:
        return True
    name = text.partition("#")[0]
    if not name.lower().endswith(ARCHIVES):
        return _inside(text) is not None
    return "#" in text or len(expand_braces(name)) > 1 or "*" in name or Path(name).is_file()


def located(place: str | os.PathLike[str]) -> Located:
    """Where a reader finds a place: the path itself, or the folder or file that stands for an address.

    Raises
    ------
    SegevalError
        If an address can't be listed, or what it needs is not installed.
    """
    if not is_address(place):
        return Located(Path(place))
    address = os.fspath(place)
    if (found := _inside(address)) is not None:
        archive, inside = found
        mount = Mount(open_archives([archive], _local), archive)
        if not (mount.root / inside).exists():
            there = ", ".join(sorted(p.name for p in mount.root.iterdir())[:6])
            raise SegevalError(f"{archive} holds no {inside}", file=address, remedy=f"it holds {there}")
        return Located(mount.root / inside, mount)
    name, _, member = address.partition("#")
    if name.lower().endswith(ARCHIVES) and "::" not in name and not name.startswith(("zip://", "tar://")):
        mount = Mount(open_archives(_shards(name), _opener(name), member), address)
        return Located(_only_folder(mount.root), mount)
    store = FsspecStore.open(address)
    mount = Mount(store, store.address)
    return Located(mount.root / store.target if store.target else mount.root, mount)


def _inside(text: str) -> tuple[str, str] | None:
    """The archive of this machine that a path leads into, and the rest of the path."""
    path = Path(text)
    for above in path.parents:
        if above.name.lower().endswith(ARCHIVES) and above.is_file():
            return str(above), path.relative_to(above).as_posix()
    return None


def _only_folder(root: Path) -> Path:
    """An archive of one folder stands for that folder."""
    inside = [p for p in root.iterdir() if not p.name.startswith(("__MACOSX", "."))]
    return inside[0] if len(inside) == 1 and inside[0].is_dir() else root


def _shards(name: str) -> list[str]:
    names = [found for part in expand_braces(name) for found in _matching(part)]
    if not names:
        raise SegevalError("no such archive", file=name, remedy="check the pattern")
    return names


def _matching(name: str) -> list[str]:
    if "*" not in name:
        return [name]
    if "://" in name:
        files, path = _filesystem(name)
        return [files.unstrip_protocol(found) for found in sorted(files.glob(path))]
    folder, _, last = name.rpartition("/")
    return sorted(map(str, Path(folder or ".").glob(last)))


def _opener(name: str) -> Any:
    if "://" not in name:
        return _local
    return lambda address: RemoteBytes(*_filesystem(address))


def _local(name: str) -> Bytes:
    try:
        return LocalBytes(Path(name))
    except FileNotFoundError:
        raise SegevalError("no such archive", file=name, remedy="check the path") from None
    except OSError as error:
        raise SegevalError(f"can't be read ({error.strerror})", file=name, remedy="check the path") from None


def _filesystem(address: str) -> tuple[Any, str]:
    """The file system of an address, and the path in it."""
    try:
        core = importlib.import_module("fsspec.core")
    except ImportError:
        raise SegevalError(
            "addresses need fsspec", file=address, remedy="pip install 'segeval[remote]', and s3fs, gcsfs or adlfs"
        ) from None
    try:
        files, path = core.url_to_fs(address)
    except ImportError as error:
        raise SegevalError(f"needs another package ({error})", file=address, remedy="install it") from None
    except (ValueError, OSError, TypeError) as error:
        raise SegevalError(f"can't be opened ({error})", file=address, remedy="check the address") from None
    return files, path


class RemoteBytes:
    """A file of a file system of fsspec."""

    def __init__(self, files: Any, path: str) -> None:
        self._files, self._path, self.name = files, path, path

    def part(self, start: int, end: int) -> bytes:
        """The bytes from start to end."""
        return bytes(self._files.cat_file(self._path, start=start, end=end))

    def open(self) -> BinaryIO:
        """The whole, from the beginning, a few megabytes at a time."""
        stream: BinaryIO = self._files.open(self._path, "rb")
        return stream


@dataclass(frozen=True)
class FsspecStore:
    """The files below an address.

    Parameters
    ----------
    files
        A file system of fsspec.
    root
        The path that names begin after.
    paths
        Full path and time of change by name.
    target
        What was addressed, relative to the root; empty if the root itself.
    address
        The root's address.
    """

    files: Any
    root: str
    paths: dict[str, tuple[str, float]]
    target: str
    address: str

    @classmethod
    def open(cls, address: str) -> FsspecStore:
        """List what lies at an address: a folder with the JSON files beside it, or a JSON file with its folders.

        Raises
        ------
        SegevalError
            If there is nothing.
        """
        files, path = _filesystem(address)
        path = path.rstrip("/")
        try:
            if path and files.isfile(path):
                stem = path.rpartition("/")[2].removesuffix(".json")
                below = [stem, "panoptic"]
                found = _listed(files, path.rpartition("/")[0], below)
                up, target = path.rpartition("/")[0], path.rpartition("/")[2]
            else:
                up, target = path.rpartition("/")[0], path.rpartition("/")[2]
                found = _listed(files, up, [target]) if up else files.find(path, detail=True)
                if not up:
                    up, target = path, ""
        except Exception as error:
            # Each file system has errors of its own.
            reason = " ".join(str(error).split())[:120]
            raise SegevalError(
                f"can't be listed ({type(error).__name__}: {reason})", file=address, remedy="check the address"
            ) from None
        paths = {}
        for full, info in found.items():
            name = full[len(up) :].lstrip("/")
            if info.get("type") == "file" and name:
                paths[name] = (full, _changed(info))
        if not any(name == target or name.startswith(f"{target}/") or not target for name in paths):
            raise SegevalError("nothing is there", file=address, remedy="check the address")
        shown = address.rstrip("/").removesuffix(target).rstrip("/") if "::" not in address else address
        return cls(files, up, paths, target, shown)

    def names(self) -> dict[str, float]:
        """The files by relative path, and when each was changed."""
        return {name: changed for name, (_, changed) in self.paths.items()}

    def read(self, name: str) -> bytes:
        """The content of a file."""
        return bytes(self.files.cat_file(self.paths[name][0]))


def _listed(files: Any, up: str, below: Sequence[str]) -> dict[str, Any]:
    """The files directly in a folder that are JSON, those of its folder of annotations, and all of some folders."""
    found: dict[str, Any] = {}
    for folder in (up, f"{up}/annotations"):
        if folder == up or files.isdir(folder):
            for info in files.ls(folder, detail=True):
                if info["type"] == "file" and info["name"].lower().endswith((".json", ".png")):
                    found[info["name"]] = info
    for folder in dict.fromkeys(f"{up}/{name}" for name in below):
        if files.isdir(folder):
            found |= files.find(folder, detail=True)
    return found


def _changed(info: dict[str, Any]) -> float:
    for name in ("LastModified", "mtime", "updated", "last_modified", "created"):
        value = info.get(name)
        if isinstance(value, datetime.datetime):
            return value.timestamp()
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return float(value)
    return 0.0


__all__ = ["FsspecStore", "Located", "Store", "is_address", "located"]
