"""COCO panoptic: a JSON of segments beside a folder of PNGs whose colours are segment ids."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import Any

from segeval.errors import SegevalError
from segeval.readers.classes import taxonomy_of_categories
from segeval.readers.listing import is_hidden
from segeval.readers.maps.png import Scratch, read_png
from segeval.readers.protocol import buffer
from segeval.samples.pairs import Key
from segeval.samples.panoptic import PanopticMap, make_segments, without
from segeval.samples.taxonomy import Taxonomy
from segeval.storage.json_files import integer, read_bytes, read_json
from segeval.storage.mounts import present


def _last(name: str) -> str:
    return PureWindowsPath(name).name  # whose separators are both slashes


# How a file_name leads to a PNG: as it stands, with the other separators, by its last part, and as a PNG.
_WAYS: tuple[Callable[[str], str], ...] = (
    lambda name: name,
    lambda name: name.replace("\\", "/"),
    _last,
    lambda name: str(Path(_last(name)).with_suffix(".png")),
)


def find_folder(path: Path, first: str) -> tuple[Path, int]:
    """The folder of PNGs that belongs to a JSON, and which of `_WAYS` leads from a file_name to a PNG in it.

    The folder is named alike beside the JSON, or is one of the usual places.

    Raises
    ------
    SegevalError
        If none of them holds the first file.
    """
    stem, up = path.stem, path.parent.parent
    words = stem.split("_")
    places = [
        path.parent / stem,
        path.parent,
        path.parent / "panoptic",
        up / stem,
        up / "panoptic",
        up.joinpath(*words),
    ]
    places += [up / "panoptic" / words[-1], path.parent.joinpath(*words)]
    for way, named in enumerate(_WAYS):
        for place in places:
            if (place / named(first)).is_file():
                return place, way
    raise SegevalError(
        f"found no folder with {first}; looked in {', '.join(str(p) for p in dict.fromkeys(places))}",
        file=path,
        remedy=f"put the PNGs into {path.parent / stem}, under the names that file_name gives",
    )


def find_json(folder: Path) -> Path | None:
    """The panoptic JSON of a folder of PNGs: inside it, beside it, or in ``annotations``; None if there is none."""
    inside = sorted(p for p in folder.glob("*.json") if not is_hidden(p.name))
    beside = [folder.parent / f"{folder.name}.json", folder.parent / f"{folder.parent.name}_{folder.name}.json"]
    for up in (folder.parent, folder.parent.parent):
        notes = up / "annotations"
        beside += [notes / f"{folder.name}.json", notes / f"{folder.parent.name}_{folder.name}.json"]
        beside += [notes / f"panoptic_{folder.name}.json"]
    picture = next((p for p in sorted(folder.rglob("*.png")) if not is_hidden(p.name)), None)
    for path in dict.fromkeys([*inside, *(p for p in beside if p.is_file())]):
        # Looked for in the bytes: a JSON of instances may be large, and is not ours to parse.
        data = read_bytes(path)
        if b'"segments_info"' in data and (path in inside or _names(data, picture)):
            return path
    return None


def _names(data: bytes, picture: Path | None) -> bool:
    """Whether a JSON names a file that is a colour PNG: one beside a folder of grey label maps is not theirs."""
    if picture is None or f"{picture.stem}.".encode() not in data:
        return False
    with present(picture).open("rb") as stream:
        head = stream.read(26)
    return head.startswith(b"\x89PNG") and len(head) == 26 and head[25] in (2, 6)


@dataclass(frozen=True)
class CocoPanoptic:
    """One side in COCO panoptic form; keys are the JSON's image ids."""

    path: Path
    folder: Path
    entries: dict[Key, dict[str, Any]]
    side: str
    taxonomy: Taxonomy | None = None
    void: tuple[int, ...] = (0,)
    by_id: bool = True
    way: int = 0

    @classmethod
    def open(cls, path: Path, side: str, void: tuple[int, ...] = (0,), folder: Path | None = None) -> CocoPanoptic:
        """Read the JSON (or find it for a folder) and index its images; `void` are segment ids that are none.

        The PNGs are in `folder`, or else where they usually are.

        Raises
        ------
        SegevalError
            If it is no panoptic JSON, an entry lacks image or file, or an image is listed twice.
        """
        if path.is_dir():
            found = find_json(path)
            if found is None:
                raise SegevalError(
                    "no panoptic JSON in or beside this folder", file=path, remedy="give the JSON itself"
                )
            path, folder = found, path
        data = read_json(path)
        if not isinstance(data, dict) or not isinstance(data.get("annotations"), list):
            raise SegevalError("has no list 'annotations'", file=path, remedy="give a COCO panoptic JSON")
        entries: dict[Key, dict[str, Any]] = {}
        for k, entry in enumerate(data["annotations"]):
            if not isinstance(entry, dict) or not {"image_id", "file_name", "segments_info"} <= entry.keys():
                raise SegevalError(
                    f"annotation {k} lacks image_id, file_name or segments_info",
                    file=path,
                    remedy="give a COCO panoptic JSON (for instances use --task instance)",
                )
            key = entry["image_id"]
            if not isinstance(key, str):
                key = integer(key, f"the image_id of annotation {k}", path)
            if key in entries:
                raise SegevalError(f"lists the image {key!r} twice", file=path, remedy="keep one entry an image")
            entries[key] = entry
        if not entries:
            raise SegevalError("lists no image", file=path, remedy="give a JSON with annotations")
        first = str(next(iter(entries.values()))["file_name"])
        if folder is None:
            folder, way = find_folder(path, first)
        else:
            there = (w for w, named in enumerate(_WAYS) if (folder / named(first)).is_file())
            way = next(there, 0)
        taxonomy = taxonomy_of_categories(data["categories"], path) if "categories" in data else None
        return cls(path, folder, entries, side, taxonomy, void, way=way)

    def keys(self) -> Sequence[Key]:
        """The image ids, in the order of the JSON."""
        return tuple(self.entries)

    def name(self, key: Key) -> str:
        """The PNG's name without extension."""
        return Path(self._named(key)).with_suffix("").as_posix()

    def file(self, key: Key) -> str:
        """The PNG."""
        return str(self.folder / self._named(key))

    def _named(self, key: Key) -> str:
        return _WAYS[self.way](str(self.entries[key]["file_name"]))

    def load(self, key: Key) -> PanopticMap:
        """Colours and segments; the colours may live in this thread's buffers until the next load."""
        image = read_png(self.file(key), scratch=buffer(self.side, Scratch))
        if image.mode not in ("RGB", "RGBA"):
            what = "16-bit colours" if image.mode.startswith(("RGB;", "RGBA;")) else f"mode {image.mode}"
            raise SegevalError(
                f"a panoptic PNG holds 8-bit RGB colours, this one has {what}",
                file=self.file(key),
                remedy="write id = R + 256 G + 65536 B",
            )
        segments = make_segments(self.entries[key]["segments_info"], self.path, key)
        return without(PanopticMap(image.pixels, segments), self.void)
