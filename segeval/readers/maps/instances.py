"""Instances from folders: maps of instance ids, and NPZ files with masks, labels and scores."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segeval.errors import SegevalError
from segeval.readers.listing import list_files
from segeval.readers.maps.labels import EXTENSIONS, read_labels
from segeval.readers.maps.png_chunks import most_pixels
from segeval.readers.protocol import Notes
from segeval.samples.instances import Instances
from segeval.samples.labels import as_labels
from segeval.samples.masks import as_instances, instances_of_map
from segeval.samples.pairs import Key
from segeval.samples.taxonomy import Taxonomy
from segeval.storage.mounts import present

# Ids are class * 1000 + instance where there is more than one class.
DIVISOR = 1000

# The one class of instances where none is named.
OBJECT = Taxonomy((0,), ("object",))

_NPZ_FIELDS = ("masks", "rle", "labels", "scores", "boxes", "size")


@dataclass(frozen=True)
class InstanceFolder:
    """A folder of instance-id maps or of NPZ files, or one such file."""

    files: dict[str, Path]
    side: str
    taxonomy: Taxonomy
    single: bool = False
    by_id: bool = False
    notes: Notes = field(default_factory=Notes, compare=False)

    @classmethod
    def open(cls, path: Path, side: str, taxonomy: Taxonomy, suffix: str = "") -> InstanceFolder:
        """List the files below a path."""
        notes = Notes()
        return cls(list_files(path, EXTENSIONS, "instance", suffix, notes), side, taxonomy, path.is_file(), notes=notes)

    def keys(self) -> Sequence[Key]:
        """Relative paths without extension."""
        return tuple(self.files)

    def name(self, key: Key) -> str:
        """The key itself."""
        return str(key)

    def file(self, key: Key) -> str:
        """The path."""
        return str(self.files[str(key)])

    def load(self, key: Key) -> Instances:
        """The instances of one image.

        Raises
        ------
        SegevalError
            If the file is damaged or holds something else, or for a class outside the taxonomy.
        """
        path = self.files[str(key)]
        data = _read_npz(path) if path.suffix.lower() == ".npz" else None
        if data is not None:
            found = as_instances(data, self.side, file=str(path), key=key)
            if "labels" not in data and len(self.taxonomy) == 1:
                found.columns.classes[:] = self.taxonomy.ids[0]
            self._require_known(found.columns.classes, path, key)
            return found
        labels = as_labels(read_labels(path, self.side, self.notes), self.side, file=str(path), key=key)
        if int(labels.max()) >= 2**32:
            raise SegevalError(f"holds the id {labels.max()}", file=path, key=key, remedy="use ids below 2^32")
        if len(self.taxonomy) == 1:
            found = instances_of_map(labels)
            found.columns.classes[:] = self.taxonomy.ids[0]
            return found
        return self._coded(labels, path, key)

    def _coded(self, labels: NDArray[Any], path: Path, key: Key) -> Instances:
        """Ids of class * 1000 + instance; below 1000 a class without instances: a crowd in truth, else nothing."""
        found = instances_of_map(labels, divisor=DIVISOR)
        columns = found.columns
        crowd = columns.crowd.astype(bool)
        self._require_known(columns.classes[~crowd], path, key)
        kept = ~crowd
        if self.side == "truth":
            kept |= np.isin(columns.classes, self._things())
        rows = np.flatnonzero(kept)
        return Instances(columns.take(rows), 0, len(rows), found.height, found.width)

    def _things(self) -> list[int]:
        things = self.taxonomy.things
        return [i for k, i in enumerate(self.taxonomy.ids) if things is None or things[k]]

    def _require_known(self, classes: NDArray[np.int64], path: Path, key: Key) -> None:
        strange = classes[~np.isin(classes, self.taxonomy.ids)]
        if len(strange):
            raise SegevalError(
                f"{self.side} holds the class {strange[0]}, which is not among the classes",
                file=path,
                key=key,
                remedy=self.taxonomy.hint(),
            )


def _read_npz(path: Path) -> dict[str, Any] | None:
    """The instance arrays of an NPZ file; None if it holds a map of ids."""
    again = "save masks or rle, labels and scores with numpy.savez"
    try:
        with zipfile.ZipFile(present(path)) as archive:
            names = {n.removesuffix(".npy") for n in archive.namelist()}
            if not names & {"masks", "rle"}:
                return None
            total = sum(info.file_size for info in archive.infolist())
            if total > 64 * most_pixels():
                raise SegevalError(
                    f"unpacks to {total} bytes", file=path, remedy="set SEGEVAL_MAX_PIXELS if that is meant"
                )
        with np.load(path, allow_pickle=False) as stored:
            data: dict[str, Any] = {name: stored[name] for name in _NPZ_FIELDS if name in names}
    except SegevalError:
        raise
    except FileNotFoundError:
        raise SegevalError("no such file", file=path, remedy="check the path") from None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, MemoryError, NotImplementedError) as error:
        reason = " ".join(str(error).split())[:100] or type(error).__name__
        raise SegevalError(f"can't be read as .npz ({reason})", file=path, remedy=again) from None
    if "masks" in data:
        data.pop("rle", None)
        return data
    strings = data.pop("rle")
    if strings.dtype.kind not in "US" or "size" not in data or data["size"].shape != (2,):
        raise SegevalError(
            f"holds rle of dtype {strings.dtype}",
            file=path,
            remedy="give rle as an array of compressed strings, and size as (height, width)",
        )
    size = [int(v) for v in data["size"]]
    data["rle"] = [{"size": size, "counts": text} for text in strings.ravel().tolist()]
    return data


def no_instances_like(truth: Instances) -> Instances:
    """The prediction of no instance."""
    return Instances(truth.columns.take(np.zeros(0, np.int64)), 0, 0, truth.height, truth.width)
