"""Which prediction belongs to which truth; missing, extra and ambiguous files are decided here and nowhere else."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segeval.errors import Caution, SegevalError
from segeval.readers.protocol import Reader
from segeval.samples.pairs import Key, Pair
from segeval.samples.taxonomy import Taxonomy

MISSING = ("error", "skip", "empty")

# What data sets and models add to an image's name. Longest first, so that one pass takes the whole of it.
SUFFIXES = tuple(
    sorted(
        (
            *(
                f"_gt{kind}_{what}"
                for kind in ("Fine", "Coarse")
                for what in ("labelIds", "labelTrainIds", "instanceIds")
            ),
            *("_gtFine_panoptic", "_gtFine_instanceTrainIds", "_gtFine", "_gtCoarse", "_leftImg8bit", "_camera"),
            *("_labelIds", "_labelTrainIds", "_trainIds", "_instanceIds", "_panoptic", "_semantic", "_instance"),
            *("_labels", "_label", "_masks", "_mask", "_seg", "_segmentation", "_gt", "_pred", "_prediction", "_L"),
        ),
        key=len,
        reverse=True,
    )
)
_CITYSCAPES = re.compile(r"^([^/]*_\d{6}_\d{6})_")

# Of several files for one image, the one that a task means.
PREFERRED = {"semantic": "_labelIds", "panoptic": "_instanceIds", "instance": "_instanceIds"}

# Cityscapes keeps pictures of its labels beside them.
_NOT_LABELS = ("_color", "_gtFine_color", "_gtCoarse_color")


def is_hidden(name: str) -> bool:
    """Files that systems leave in every folder."""
    return name.startswith(".") or name.lower() in ("thumbs.db", "desktop.ini", "__macosx")


def plain_name(name: str) -> str:
    """A relative path without the suffixes that data sets add: ``a/b_gtFine_labelIds`` is ``a/b``."""
    folder, slash, last = name.rpartition("/")
    if found := _CITYSCAPES.match(last):
        return folder + slash + found.group(1)
    changed = last.endswith(SUFFIXES)
    while changed:
        changed = False
        for suffix in SUFFIXES:
            if last.endswith(suffix) and len(last) > len(suffix):
                last, changed = last[: -len(suffix)], True
                break
    return folder + slash + last


def list_files(root: Path, extensions: Sequence[str], task: str, suffix: str = "") -> dict[str, Path]:
    """The files of a folder and its subfolders by relative path without extension.

    Parameters
    ----------
    root
        A folder, or one file.
    extensions
        What counts, in lower case with the dot.
    task
        Says which of several files of an image is meant.
    suffix
        Keep only names that end so.

    Raises
    ------
    SegevalError
        If the folder can't be read, holds nothing that counts, or holds two files for one key.
    """
    if root.is_file():
        return {root.stem: root}
    found: dict[str, Path] = {}
    others = 0

    def refuse(error: OSError) -> None:
        reason = (error.strerror or str(error)).lower()
        raise SegevalError(
            f"can't be read ({reason})", file=error.filename, remedy="check the path and its permissions"
        )

    for folder, folders, names in os.walk(root, onerror=refuse, followlinks=True):
        here = Path(folder)
        folders[:] = sorted(f for f in folders if not is_hidden(f) and not _leads_up(here / f))
        for name in sorted(names):
            stem, extension = os.path.splitext(name)
            if is_hidden(name) or extension.lower() not in extensions:
                others += not is_hidden(name)
                continue
            if stem.endswith(_NOT_LABELS) or (suffix and not stem.endswith(suffix)):
                continue
            path = here / name
            key = path.relative_to(root).with_suffix("").as_posix() if folder != str(root) else stem
            if key in found:
                raise SegevalError(
                    f"two files for one image: {found[key].name} and {name}",
                    file=root,
                    key=key,
                    remedy="remove one of them",
                )
            found[key] = path
    if not found:
        beside = f"; it holds {others} other files" if others else ", it is empty" if not suffix else ""
        wanted = ", ".join(extensions) + (f" named *{suffix}" if suffix else "")
        raise SegevalError(
            f"no {wanted} in this folder{beside}", file=root, remedy="give the folder that holds the label files"
        )
    return _preferred(found, task)


def _leads_up(folder: Path) -> bool:
    """Whether a folder is a link to one that holds it, which would be walked for ever."""
    return folder.is_symlink() and folder.parent.resolve().is_relative_to(folder.resolve())


def _preferred(found: dict[str, Path], task: str) -> dict[str, Path]:
    """Where several files share a plain name and one bears the task's suffix, that one is meant."""
    groups: dict[str, list[str]] = {}
    for key in found:
        groups.setdefault(plain_name(key), []).append(key)
    kept = dict(found)
    for keys in groups.values():
        chosen = [key for key in keys if key.endswith(PREFERRED.get(task, ""))]
        if len(keys) > 1 and len(chosen) == 1:
            for key in keys:
                if key not in chosen:
                    del kept[key]
    return kept


def _by_name(reader: Reader, of: Callable[[str], str], side: str) -> dict[str, Key]:
    """Keys by some form of their name; two keys of one form are ambiguous."""
    table: dict[str, Key] = {}
    for key in reader.keys():
        form = of(reader.name(key))
        if form in table:
            raise SegevalError(
                f"two {side} files for one image: {reader.file(table[form])} and {reader.file(key)}",
                key=form,
                remedy=f"keep one, or tell them apart by --{'gt' if side == 'truth' else 'pred'}-suffix",
            )
        table[form] = key
    return table


def _last(name: str) -> str:
    return plain_name(name).rpartition("/")[2]


def match_keys(truth: Reader, prediction: Reader) -> tuple[dict[Key, Key], list[Key], list[Key]]:
    """Prediction key by truth key, the truths without a prediction, and the predictions without a truth.

    Ids pair with ids. Names pair when equal, else without the usual suffixes, else (if no two files of a side share
    it) by the file's name alone, whatever the folders.
    """
    if truth.by_id and prediction.by_id:
        theirs = set(prediction.keys())
        pairs = {key: key for key in truth.keys() if key in theirs}
        mine = set(truth.keys())
        return pairs, [k for k in truth.keys() if k not in pairs], [k for k in prediction.keys() if k not in mine]
    if len(truth.keys()) == len(prediction.keys()) == 1 and not (truth.by_id or prediction.by_id):
        only = {truth.keys()[0]: prediction.keys()[0]}
        if Path(truth.file(truth.keys()[0])).is_file() and getattr(prediction, "single", False):
            return only, [], []
    pairs = {}
    left, right = list(truth.keys()), list(prediction.keys())
    for of in (str, plain_name, _last):
        if not left or not right:
            break
        if of is _last and pairs:
            break
        try:
            mine_by, theirs_by = _by_name(truth, of, "truth"), _by_name(prediction, of, "prediction")
        except SegevalError:
            if of is _last:
                break
            raise
        for form, key in mine_by.items():
            if key not in pairs and form in theirs_by:
                pairs[key] = theirs_by[form]
        taken = set(pairs.values())
        left = [k for k in truth.keys() if k not in pairs]
        right = [k for k in prediction.keys() if k not in taken]
    return pairs, left, right


def _listed(names: Sequence[object]) -> str:
    shown = ", ".join(str(n) for n in names[:3])
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown


@dataclass(frozen=True)
class PairedSource:
    """Truth and prediction readers whose keys have been matched."""

    truth: Reader
    prediction: Reader
    pairs: Mapping[Key, Key | None]
    taxonomy: Taxonomy | None
    cautions: tuple[Caution, ...]
    empty: Callable[[Any], Any] | None = None
    void: tuple[int, ...] | None = None

    def keys(self) -> Sequence[Key]:
        """The images that are scored, by their truth's key."""
        return tuple(self.pairs)

    def files(self, key: Key) -> tuple[str, ...]:
        """The truth's file, and the prediction's if there is one."""
        other = self.pairs[key]
        return (self.truth.file(key),) if other is None else (self.truth.file(key), self.prediction.file(other))

    def load(self, key: Key) -> Pair:
        """One image's truth and prediction."""
        truth = self.truth.load(key)
        other = self.pairs[key]
        if other is None:
            assert self.empty is not None
            return Pair(key, truth, self.empty(truth), self.truth.file(key), None)
        return Pair(key, truth, self.prediction.load(other), self.truth.file(key), self.prediction.file(other))


def pair_up(
    truth: Reader,
    prediction: Reader,
    *,
    missing: str,
    empty: Callable[[Any], Any],
    taxonomy: Taxonomy | None,
    cautions: Sequence[Caution] = (),
    truth_path: object = None,
    prediction_path: object = None,
    void: tuple[int, ...] | None = None,
) -> PairedSource:
    """Match two readers under a policy for what is missing or extra.

    Parameters
    ----------
    truth, prediction
        The two sides.
    missing
        ``error``; ``skip`` leaves truths without a prediction out; ``empty`` scores them as predicted nothing. With
        the last two, predictions without a truth are ignored and counted in a caution.
    empty
        Makes the prediction of nothing for a truth.
    taxonomy, cautions
        What the readers learnt.
    truth_path, prediction_path
        For messages.
    void
        The void in force.

    Raises
    ------
    SegevalError
        Naming the first few missing or extra images and their number.
    """
    pairs, left, right = match_keys(truth, prediction)
    notes = list(cautions)
    remedy = "add them, or give --missing skip or --missing empty"
    if not pairs and left and right:
        raise SegevalError(
            f"no image has both a truth and a prediction: truth has {_listed([truth.name(k) for k in left])}, "
            f"prediction has {_listed([prediction.name(k) for k in right])}",
            file=prediction_path,
            remedy="name predictions as their truth",
        )
    if left:
        text = f"{len(left)} of {len(truth.keys())} images have no prediction: {_listed([truth.name(k) for k in left])}"
        if missing == "error":
            raise SegevalError(text, file=prediction_path, remedy=remedy)
        how = "left out" if missing == "skip" else "scored as predicted nothing"
        notes.append(Caution("prediction-missing", f"{text} ({how})"))
    if right:
        text = f"{len(right)} predictions have no truth: {_listed([prediction.name(k) for k in right])}"
        if missing == "error":
            raise SegevalError(text, file=truth_path, remedy="remove them, or give --missing skip to ignore them")
        notes.append(Caution("prediction-extra", f"{text} (ignored)"))
    chosen: dict[Key, Key | None] = {key: pairs.get(key) for key in truth.keys() if key in pairs or missing == "empty"}
    return PairedSource(truth, prediction, chosen, taxonomy, tuple(notes), empty, void)
