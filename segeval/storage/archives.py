"""Archives as stores: members are read by their place in the file, so many at once, near or far."""

from __future__ import annotations

import gzip
import io
import os
import re
import shutil
import struct
import tarfile
import tempfile
import threading
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Protocol

from segeval.errors import SegevalError

ZIP = (".zip",)
TAR = (".tar",)
COMPRESSED_TAR = (".tar.gz", ".tgz")
ARCHIVES = (*ZIP, *TAR, *COMPRESSED_TAR)

_LOCAL_HEADER = struct.Struct("<4s22xHH")
# What a member's own header may hold beyond what the directory says of it.
_SLACK = 256


class Bytes(Protocol):
    """A file of which parts can be read, by many threads."""

    @property
    def name(self) -> str:
        """For messages."""
        ...

    def part(self, start: int, end: int) -> bytes:
        """The bytes from start to end."""
        ...

    def open(self) -> BinaryIO:
        """The whole, from the beginning."""
        ...


class LocalBytes:
    """A file of this machine."""

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._stream = path.open("rb")
        self._lock = threading.Lock()

    def part(self, start: int, end: int) -> bytes:
        """The bytes from start to end."""
        if hasattr(os, "pread"):
            return os.pread(self._stream.fileno(), end - start, start)
        with self._lock:
            self._stream.seek(start)
            return self._stream.read(end - start)

    def open(self) -> BinaryIO:
        """The whole, from the beginning."""
        return Path(self.name).open("rb")


class ZipStore:
    """The members of a ZIP file."""

    def __init__(self, source: Bytes) -> None:
        self._source = source
        try:
            with source.open() as stream, zipfile.ZipFile(stream) as archive:
                self._members = self._named(archive.infolist())
        except (zipfile.BadZipFile, ValueError) as error:
            raise SegevalError(f"is no ZIP file ({error})", file=source.name, remedy="pack it again") from None
        except OSError as error:
            raise _unread(source, error) from None

    def _named(self, members: Sequence[zipfile.ZipInfo]) -> dict[str, zipfile.ZipInfo]:
        """The files by path; some programs of Windows write it with backslashes."""
        found: dict[str, zipfile.ZipInfo] = {}
        for member in members:
            name = member.filename.replace("\\", "/")
            if not name.endswith("/") and found.setdefault(name, member) is not member:
                raise SegevalError(f"holds {name} twice", file=self._source.name, remedy="pack it again")
        return found

    def names(self) -> dict[str, float]:
        """The members; a ZIP file's times have no zone, so none is given."""
        return dict.fromkeys(self._members, 0.0)

    def read(self, name: str) -> bytes:
        """A member's content, its checksum compared.

        Raises
        ------
        SegevalError
            If it is damaged, encrypted, or packed in an unusual way.
        """
        member = self._members[name]
        where = f"{self._source.name}/{name}"
        if member.flag_bits & 1 or member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise SegevalError("is encrypted or packed in an unusual way", file=where, remedy="pack it with deflate")
        start = member.header_offset
        guess = 30 + len(member.filename.encode()) + len(member.extra) + _SLACK
        raw = self._source.part(start, start + guess + member.compress_size)
        try:
            mark, names, extra = _LOCAL_HEADER.unpack_from(raw)
            begin = 30 + names + extra
            if len(raw) < begin + member.compress_size:
                raw = self._source.part(start, start + begin + member.compress_size)
            packed = raw[begin : begin + member.compress_size]
            if member.compress_type == zipfile.ZIP_DEFLATED:
                # No more than was promised, whatever the stream holds.
                packed = zlib.decompressobj(-15).decompress(packed, member.file_size + 1)
            good = mark == b"PK\x03\x04" and zlib.crc32(packed) == member.CRC
        except (struct.error, zlib.error):
            good = False
        if not good:
            raise SegevalError("is damaged in its archive", file=where, remedy="pack it again")
        return packed


def _unread(source: Bytes, error: OSError) -> SegevalError:
    """What is said of a file that can't be had, whatever it holds."""
    reason = error.strerror or str(error) or type(error).__name__
    return SegevalError(
        f"can't be read ({type(error).__name__}: {reason})", file=source.name, remedy="check the address"
    )


class _Place(NamedTuple):
    source: Bytes
    start: int
    size: int
    changed: float


class TarStore:
    """The members of one or many TAR files (shards); a name may occur once.

    Parameters
    ----------
    sources
        The files.
    field
        If given, what follows the first dot of the members that count (``seg.png``); ``a/001.seg.png`` is then
        ``a/001.png``. The fields of a sample pair by their common name.
    """

    def __init__(self, sources: Sequence[Bytes], field: str = "") -> None:
        self._places: dict[str, _Place] = {}
        for source in sources:
            try:
                with source.open() as stream, tarfile.open(fileobj=stream, mode="r:") as archive:
                    for member in archive:
                        if member.isreg():
                            self._add(member, source, field)
            except (tarfile.TarError, EOFError) as error:
                raise SegevalError(f"is no TAR file ({error})", file=source.name, remedy="pack it again") from None
            except OSError as error:
                raise _unread(source, error) from None
        if not self._places:
            what = f"no member NAME.{field}" if field else "no file"
            raise SegevalError(f"holds {what}", file=sources[0].name if sources else None, remedy="name what it holds")

    def _add(self, member: tarfile.TarInfo, source: Bytes, field: str) -> None:
        name = member.name.removeprefix("./")
        if field:
            folder, slash, last = name.rpartition("/")
            key, _, rest = last.partition(".")
            if rest != field:
                return
            name = f"{folder}{slash}{key}.{field.rpartition('.')[2]}"
        if name in self._places:
            other = self._places[name].source.name
            remedy = "give each sample its own key"
            raise SegevalError(f"holds {member.name}, and so does {other}", file=source.name, remedy=remedy)
        self._places[name] = _Place(source, member.offset_data, member.size, float(member.mtime))

    def names(self) -> dict[str, float]:
        """The members, and when each was changed."""
        return {name: place.changed for name, place in self._places.items()}

    def read(self, name: str) -> bytes:
        """A member's content.

        Raises
        ------
        SegevalError
            If the file ends before it.
        """
        place = self._places[name]
        data = place.source.part(place.start, place.start + place.size)
        if len(data) != place.size:
            raise SegevalError(f"ends within {name}", file=place.source.name, remedy="copy it again")
        return data


def inflated(source: Bytes) -> Bytes:
    """A compressed TAR, unpacked beside: places in it can't be reached otherwise."""
    unpacked = tempfile.NamedTemporaryFile(prefix="segeval-", suffix=".tar")  # noqa: SIM115 - kept by what is returned
    try:
        with source.open() as stream, gzip.open(stream) as content:
            shutil.copyfileobj(content, unpacked, 1 << 20)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise SegevalError(f"is no gzip file ({error})", file=source.name, remedy="pack it again") from None
    except OSError as error:
        raise _unread(source, error) from None
    unpacked.flush()
    opened = LocalBytes(Path(unpacked.name))
    opened.name = source.name
    return _Kept(opened, unpacked)


class _Kept:
    """Bytes of a temporary file, which lives as long."""

    def __init__(self, opened: LocalBytes, file: Any) -> None:
        self.name, self.part, self._file = opened.name, opened.part, file

    def open(self) -> BinaryIO:
        return io.BufferedReader(Path(self._file.name).open("rb", buffering=0))


def open_archives(names: Sequence[str], opener: Callable[[str], Bytes], field: str = "") -> ZipStore | TarStore:
    """The store of one archive, or of several TAR shards.

    Raises
    ------
    SegevalError
        For several ZIP files, and files that are no archives.
    """
    if len(names) == 1 and names[0].lower().endswith(ZIP):
        return ZipStore(opener(names[0]))
    sources = []
    for name in names:
        source = opener(name)
        if name.lower().endswith(ZIP):
            raise SegevalError("is one of several ZIP files", file=name, remedy="give one ZIP file, or TAR shards")
        sources.append(inflated(source) if name.lower().endswith(COMPRESSED_TAR) else source)
    return TarStore(sources, field)


_BRACES = re.compile(r"\{(\d+)\.\.(\d+)\}|\{([^{}]*,[^{}]*)\}")


def expand_braces(text: str) -> list[str]:
    """``a{00..02}.tar`` as three names, ``{a,b}.tar`` as two."""
    found = _BRACES.search(text)
    if found is None:
        return [text]
    low, high, listed = found.groups()
    if listed is not None:
        words = listed.split(",")
    else:
        width = len(low) if low.startswith("0") and len(low) > 1 else 0
        words = [str(i).zfill(width) for i in range(int(low), int(high) + 1)]
    return [name for word in words for name in expand_braces(text[: found.start()] + word + text[found.end() :])]
