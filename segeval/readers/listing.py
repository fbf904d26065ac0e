"""The files of one side: which count, under which names, and what is left out."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path

from segeval.errors import SegevalError
from segeval.readers.protocol import Notes

# What data sets and models add to an image's name.
_ENDS = frozenset(
    (
        *("_gtFine", "_gtCoarse", "_leftImg8bit", "_camera", "_labelIds", "_labelTrainIds", "_trainIds"),
        *("_instanceIds", "_instanceTrainIds", "_panoptic", "_semantic", "_instance", "_labels", "_label", "_masks"),
        *("_mask", "_seg", "_segmentation", "_gt", "_pred", "_prediction", "_L"),
        # Annotation tools keep the photograph's whole name: a.jpg.png
        *(".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".gif", ".webp", ".npy", ".JPG", ".JPEG", ".PNG", ".TIF"),
    )
)

# A frame of Cityscapes, and what a model adds to it; a number after it belongs to the name, as in names of tiles.
_FRAME = re.compile(r"^([^/]*_\d{6}_\d{6})_(?!\d+(?:_|$))")

# Of several files for one image, the one that a task means.
PREFERRED = {"semantic": "_labelIds", "panoptic": "_instanceIds", "instance": "_instanceIds"}

# Cityscapes keeps pictures of its labels beside them.
_NOT_LABELS = ("_color", "_gtFine_color", "_gtCoarse_color")

# Of the files in a folder only those of the best kind count: a JPEG beside PNGs is a photograph.
_RANKS = {".bmp": 1, ".gif": 1, ".webp": 1, ".jpg": 2, ".jpeg": 2}

# Nobody takes these for label maps, so leaving them out needs no word.
_TEXTS = (
    *("", ".txt", ".json", ".csv", ".tsv", ".xml", ".yaml", ".yml", ".toml", ".md", ".html", ".log", ".py", ".ipynb"),
    *(".tfw", ".pgw", ".wld", ".prj", ".cpg", ".aux", ".sha256", ".md5"),
)


def is_hidden(name: str) -> bool:
    """Files that systems leave in every folder."""
    return name.startswith(".") or name.lower() in ("thumbs.db", "desktop.ini", "__macosx")


def composed(name: str) -> str:
    """A name with each accented letter as one character: systems differ in how they write it."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def plain_name(name: str) -> str:
    """A relative path without the endings that data sets add: ``a/b_gtFine_labelIds`` and ``a/b.jpg`` are ``a/b``."""
    folder, slash, last = composed(name).rpartition("/")
    while (cut := max(last.rfind("_"), last.rfind("."))) > 0 and last[cut:] in _ENDS:
        last = last[:cut]
    return folder + slash + last


def frame_name(name: str) -> str:
    """The plain name, and of Cityscapes' names the frame alone, whatever a model adds to it."""
    folder, slash, last = plain_name(name).rpartition("/")
    found = _FRAME.match(last)
    return folder + slash + (found.group(1) if found else last)


# Letters of other scripts that look like Latin ones.
_LATIN = str.maketrans("аеорсухіјѕԁһӏАВЕКМНОРСТХІЈЅαονρΑΒΕΖΗΙΚΜΝΟΡΤΥΧ", "aeopcyxijsdhlABEKMHOPCTXIJSaovpABEZHIKMNOPTYX")


def _seen(name: str) -> str:
    """What a person sees of a name."""
    plain = unicodedata.normalize("NFKC", name).translate(_LATIN).casefold()
    return "".join(c for c in plain if unicodedata.category(c) not in ("Cf", "Cc", "Zs"))


def look_alike(truths: Sequence[str], predictions: Sequence[str]) -> str:
    """Where two names that didn't pair look the same, what tells them apart; empty if there are none."""
    seen: dict[str, str] = {}
    for name in predictions:
        seen.setdefault(_seen(name), name)
    for mine in truths:
        theirs = seen.get(_seen(mine))
        if theirs is not None and theirs != mine:
            at = next((i for i, (a, b) in enumerate(zip(mine, theirs, strict=False)) if a != b), None)
            at = min(len(mine), len(theirs)) if at is None else at
            here, there = (f"U+{ord(n[at]):04X}" if at < len(n) else "the end" for n in (mine, theirs))
            return f"; {mine!a} and {theirs!a} look alike: at character {at + 1} one has {here}, the other {there}"
    return ""


def list_files(
    root: Path, extensions: Sequence[str], task: str, suffix: str = "", notes: Notes | None = None
) -> dict[str, Path]:
    """The files of a folder and its subfolders by relative path without extension.

    Parameters
    ----------
    root
        A folder, or one file.
    extensions
        What can be read, in lower case with the dot; of the files that are there only those of the best kind count.
    task
        Says which of several files of an image is meant.
    suffix
        Keep only names that end so.
    notes
        Where to leave word of files that don't count.

    Raises
    ------
    SegevalError
        If the folder can't be read, holds nothing that counts, or holds two files for one key.
    """
    if root.is_file():
        return {root.stem: root}
    notes = Notes() if notes is None else notes
    kinds: tuple[dict[str, Path], ...] = ({}, {}, {})
    others = 0
    for folder, prefix, name in _walked(root):
        stem, extension = os.path.splitext(name)
        extension = extension.lower()
        if extension not in extensions:
            others += 1
            if extension not in _TEXTS:
                notes.add("files-left-out", f"{extension} files are not read", folder / name)
        elif stem.endswith(_NOT_LABELS):
            notes.add("files-left-out", "*_color files are pictures of the labels, and are not read", folder / name)
        elif not suffix or stem.endswith(suffix):
            found, key = kinds[_RANKS.get(extension, 0)], prefix + stem
            if key in found:
                raise SegevalError(
                    f"two files for one image: {found[key].name} and {name}",
                    file=root,
                    key=key,
                    remedy="remove one of them",
                )
            found[key] = folder / name
    counting = next((kind for kind in kinds if kind), {})
    if not counting:
        beside = f"; it holds {others} other files" if others else ", it is empty" if not suffix else ""
        wanted = ", ".join(extensions) + (f" named *{suffix}" if suffix else "")
        raise SegevalError(
            f"no {wanted} in this folder{beside}", file=root, remedy="give the folder that holds the label files"
        )
    beside = next(iter(counting.values())).suffix.lower()
    for path in (path for kind in kinds if kind is not counting for path in kind.values()):
        notes.add("files-left-out", f"{path.suffix.lower()} files are not read beside {beside} files", path)
    return _preferred(counting, task, notes)


def _walked(root: Path) -> Iterator[tuple[Path, str, str]]:
    """The files below a folder that are not hidden, in order: folder, what their keys begin with, and name."""

    def refuse(error: OSError) -> None:
        reason = (error.strerror or str(error)).lower()
        raise SegevalError(
            f"can't be read ({reason})", file=error.filename, remedy="check the path and its permissions"
        )

    for folder, folders, names in os.walk(root, onerror=refuse, followlinks=True):
        here = Path(folder)
        folders[:] = sorted(f for f in folders if not is_hidden(f) and not _leads_up(here / f))
        prefix = "" if here == root else f"{here.relative_to(root).as_posix()}/"
        yield from ((here, prefix, name) for name in sorted(names) if not is_hidden(name))


def _leads_up(folder: Path) -> bool:
    """Whether a folder is a link to one that holds it, which would be walked for ever."""
    return folder.is_symlink() and folder.parent.resolve().is_relative_to(folder.resolve())


def _preferred(found: dict[str, Path], task: str, notes: Notes) -> dict[str, Path]:
    """Where several files share a plain name and one bears the task's suffix, that one is meant."""
    meant = PREFERRED.get(task, "")
    groups: dict[str, list[str]] = {}
    for key in found:
        groups.setdefault(plain_name(key), []).append(key)
    kept = dict(found)
    for keys in groups.values():
        chosen = [key for key in keys if key.endswith(meant)]
        if len(keys) > 1 and len(chosen) == 1:
            for key in keys:
                if key not in chosen:
                    text = f"files of images that have a *{meant} file beside are not read"
                    notes.add("files-left-out", text, kept.pop(key))
    return kept
