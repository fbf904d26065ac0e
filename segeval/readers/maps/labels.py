"""Label maps from files: PNG, NPY, NPZ, TIFF, BMP, GIF, WebP and JPEG."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from segeval.errors import SegevalError
from segeval.readers.listing import list_files
from segeval.readers.maps.pictures import LOSSLESS, LOSSY, read_picture
from segeval.readers.maps.png import Scratch, read_png
from segeval.readers.maps.png_chunks import most_pixels
from segeval.readers.maps.tiff import read_tiff
from segeval.readers.protocol import Notes, buffer
from segeval.samples.blocks import BlockedMap
from segeval.samples.pairs import NO_PREDICTION, Key, NoPrediction
from segeval.storage.mounts import mount_of, present

ARRAYS = (".npy", ".npz")
TIFF = (".tif", ".tiff")
EXTENSIONS = (".png", *ARRAYS, *TIFF, *LOSSLESS, *LOSSY)
"""Of the files in a folder those of the best kind count: lossless pictures where there is nothing better, then JPEG."""

# The names under which one array among several is taken for the label map.
_ARRAY_NAMES = ("labels", "label", "segmentation", "mask", "prediction", "pred", "arr_0")


def _declared(stream: BinaryIO, path: Path) -> None:
    """Refuse an array whose header declares objects or more pixels than the limit, before anything is read."""
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(stream)
    if dtype.hasobject:
        raise SegevalError("holds Python objects, which are never unpickled", file=path, remedy="save integers")
    if dtype.kind not in "biuf":  # also what a huge item size could hide in
        raise SegevalError(f"holds values of dtype {dtype!s:.40}", file=path, remedy="save integers")
    size = int(np.prod(shape, dtype=object)) if shape else 1
    if size > most_pixels():
        raise SegevalError(
            f"declares {size} values (limit {most_pixels()})",
            file=path,
            remedy="set SEGEVAL_MAX_PIXELS if that is meant",
        )


def _read_npy(path: Path) -> NDArray[Any]:
    with path.open("rb") as stream:
        _declared(stream, path)
        stream.seek(0)
        return np.asarray(np.lib.format.read_array(stream, allow_pickle=False))


def _read_npz(path: Path) -> NDArray[Any]:
    with zipfile.ZipFile(path) as archive:
        names = [n.removesuffix(".npy") for n in archive.namelist()]
        chosen = names if len(names) == 1 else [n for n in _ARRAY_NAMES if n in names][:1]
        if not chosen:
            shown = ", ".join(names[:6]) or "nothing"
            raise SegevalError(
                f"holds {shown}, and no array named 'labels'", file=path, remedy="name the array 'labels'"
            )
        member = chosen[0] + ".npy"
        with archive.open(member) as stream:
            _declared(stream, path)  # type: ignore[arg-type]
        with archive.open(member) as stream:
            return np.asarray(np.lib.format.read_array(stream, allow_pickle=False))


def read_labels(path: str | os.PathLike[str], side: str = "truth", notes: Notes | None = None) -> NDArray[Any]:
    """The stored values of a label map, whatever the format; a palette gives its indices.

    Parameters
    ----------
    path
        A file with one of `EXTENSIONS`.
    side
        Whose buffers of this thread are used: ``truth`` or ``prediction``.
    notes
        Where to leave word of what a file says and its values don't follow.

    Returns
    -------
    array
        Usually (H, W); it may live in this thread's buffers until the next call for the same side.

    Raises
    ------
    SegevalError
        If the file is absent, damaged, of another kind, or larger than the limit.
    """
    return np.asarray(read_map(path, side, notes))


def read_map(
    path: str | os.PathLike[str], side: str = "truth", notes: Notes | None = None
) -> NDArray[Any] | BlockedMap:
    """As `read_labels`, but a large TIFF of this machine is a map that is read by blocks."""
    file = Path(path)
    extension = file.suffix.lower()
    if extension == ".png":
        return read_png(path, scratch=buffer(side, Scratch)).pixels
    if extension not in EXTENSIONS:
        raise SegevalError(
            f"{extension or 'no extension'} is no label format", file=file, remedy=f"use {', '.join(EXTENSIONS)}"
        )
    try:
        if extension in TIFF:
            labels = read_tiff(present(file), notes)
            # What was fetched goes once its image is loaded.
            return labels if mount_of(file) is None else np.asarray(labels)
        if extension in ARRAYS:
            return {".npy": _read_npy, ".npz": _read_npz}[extension](present(file))
        return read_picture(present(file), notes)
    except SegevalError:
        raise
    except FileNotFoundError:
        raise SegevalError("no such file", file=file, remedy="check the path") from None
    except Exception as error:
        # Each decoder has errors of its own for what is damaged.
        reason = " ".join(str(error).split())[:100] or type(error).__name__
        raise SegevalError(
            f"can't be read as {extension} ({reason})", file=file, remedy="write the file again"
        ) from None


@dataclass(frozen=True)
class LabelFolder:
    """A folder of label maps, or one file."""

    files: dict[str, Path]
    side: str
    single: bool = False
    by_id: bool = False
    notes: Notes = field(default_factory=Notes, compare=False)

    @classmethod
    def open(cls, path: Path, side: str, suffix: str = "") -> LabelFolder:
        """List the label maps below a path."""
        notes = Notes()
        return cls(list_files(path, EXTENSIONS, "semantic", suffix, notes), side, path.is_file(), notes=notes)

    def keys(self) -> Sequence[Key]:
        """Relative paths without extension."""
        return tuple(self.files)

    def name(self, key: Key) -> str:
        """The key itself."""
        return str(key)

    def file(self, key: Key) -> str:
        """The path."""
        return str(self.files[str(key)])

    def load(self, key: Key) -> NDArray[Any] | BlockedMap:
        """The label map; it may live in this thread's buffers until the next one."""
        return read_map(self.files[str(key)], self.side, self.notes)


def void_like(truth: NDArray[Any] | BlockedMap) -> NoPrediction:
    """The semantic prediction of nothing: counts as missed everywhere."""
    return NO_PREDICTION
