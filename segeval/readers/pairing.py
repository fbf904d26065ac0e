"""Which prediction belongs to which truth; missing, extra and ambiguous files are decided here and nowhere else."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segeval.errors import Caution, SegevalError
from segeval.readers.listing import composed, frame_name, look_alike, plain_name
from segeval.readers.protocol import Notes, Reader
from segeval.samples.pairs import Key, Pair
from segeval.samples.taxonomy import Taxonomy

MISSING = ("error", "skip", "empty")


def _last(name: str) -> str:
    return name.rpartition("/")[2]


# How names pair, one way after the other: of the truth, of the prediction, and whether the folders are left out.
_WAYS: tuple[tuple[Callable[[str], str], Callable[[str], str], bool], ...] = (
    (str, str, False),
    (composed, composed, False),
    (plain_name, plain_name, False),
    (plain_name, frame_name, False),
    (plain_name, plain_name, True),
    (plain_name, frame_name, True),
)


def match_keys(truth: Reader, prediction: Reader) -> tuple[dict[Key, Key], list[Key], list[Key]]:
    """Prediction key by truth key, the truths without a prediction, and the predictions without a truth.

    Ids pair with ids, 10 and "10" being two. Names pair when equal, else without the usual endings, else (if no two
    files of a side share it) by the file's name alone, whatever the folders. What has paired stays out of later ways.
    """
    if truth.by_id and prediction.by_id:
        return _matched_ids(list(truth.keys()), list(prediction.keys()))
    if len(truth.keys()) == len(prediction.keys()) == 1 and not (truth.by_id or prediction.by_id):
        only = {truth.keys()[0]: prediction.keys()[0]}
        if Path(truth.file(truth.keys()[0])).is_file() and getattr(prediction, "single", False):
            return only, [], []
    pairs: dict[Key, Key] = {}
    left, right = list(truth.keys()), list(prediction.keys())
    for mine, theirs, flat in _WAYS:
        if not left or not right or (flat and pairs):
            break
        one, other = _by_name(truth, left, mine, flat), _by_name(prediction, right, theirs, flat)
        if flat and any(len(keys) > 1 for keys in (*one.values(), *other.values())):
            break
        for form in (form for form in one if form in other):
            for reader, keys, side in ((truth, one[form], "truth"), (prediction, other[form], "prediction")):
                _require_one(reader, keys, side, form)
            pairs[one[form][0]] = other[form][0]
        taken = set(pairs.values())
        left = [k for k in left if k not in pairs]
        right = [k for k in right if k not in taken]
    return pairs, left, right


def _matched_ids(mine: list[Key], theirs: list[Key]) -> tuple[dict[Key, Key], list[Key], list[Key]]:
    here, there = set(mine), set(theirs)
    pairs = {key: key for key in mine if key in there}
    return pairs, [k for k in mine if k not in pairs], [k for k in theirs if k not in here]


def _by_name(reader: Reader, keys: Sequence[Key], of: Callable[[str], str], flat: bool) -> dict[str, list[Key]]:
    """Keys by some form of their name."""
    table: dict[str, list[Key]] = {}
    for key in keys:
        form = of(reader.name(key))
        table.setdefault(_last(form) if flat else form, []).append(key)
    return table


def _require_one(reader: Reader, keys: Sequence[Key], side: str, form: str) -> None:
    if len(keys) > 1:
        raise SegevalError(
            f"two {side} files for one image: {reader.file(keys[0])} and {reader.file(keys[1])}",
            key=form,
            remedy=f"keep one, or tell them apart by --{'gt' if side == 'truth' else 'pred'}-suffix",
        )


def notes_of(reader: object, side: str, void: tuple[int, ...] = (), option: str = "--void") -> list[Caution]:
    """What a reader has met up to now, if it keeps notes."""
    notes = getattr(reader, "notes", None)
    return notes.cautions(side, void, option) if isinstance(notes, Notes) else []


def _left_out(reader: Reader, side: str) -> str:
    """Files that were left out on a side, for a message on what is missing there."""
    found = [c.message for c in notes_of(reader, side) if c.code == "files-left-out"]
    return f" (left out of the {'; '.join(found)})" if found else ""


def _one_folder(reader: Reader, path: object) -> str | None:
    """A remedy where the same names lie in several folders of a side."""
    folders: dict[str, list[str]] = {}
    for key in reader.keys():
        folder, _, last = reader.name(key).rpartition("/")
        folders.setdefault(last, []).append(folder)
    several = max(folders.values(), key=len, default=[])
    if path is None or len(several) < 2:
        return None
    return f"several of its folders hold the same names: give one, such as {path}/{several[0]}"


def _names(reader: Reader, keys: Sequence[Key]) -> list[str]:
    """Images for a message; numbers that are text in quotes, for the id 10 is not "10"."""
    text = reader.by_id
    return [f'"{key}"' if text and isinstance(key, str) and key.isdecimal() else reader.name(key) for key in keys]


def _told_apart(truth: Reader, prediction: Reader, left: Sequence[Key], right: Sequence[Key]) -> str:
    """What tells images apart that look the same and didn't pair."""
    if not (truth.by_id and prediction.by_id):
        return look_alike([truth.name(k) for k in left], [prediction.name(k) for k in right])
    if {str(key) for key in left} & {str(key) for key in right}:
        return "; one file writes image ids as numbers, the other as text"
    return ""


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

    def notes(self, void: tuple[int, ...] = ()) -> tuple[Caution, ...]:
        """What has been met up to now in listing and reading the files; `void` is the void in force."""
        return (*notes_of(self.truth, "truth", void), *notes_of(self.prediction, "prediction", void))

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
    mine, theirs = _names(truth, left), _names(prediction, right)
    alike = _told_apart(truth, prediction, left, right)
    if not pairs and left and right:
        text = (
            f"no image has both a truth and a prediction: truth has {_listed(mine)}, prediction has {_listed(theirs)}"
        )
        text += alike + _left_out(truth, "truth") + _left_out(prediction, "prediction")
        folder = _one_folder(truth, truth_path) or _one_folder(prediction, prediction_path)
        same = "write image ids" if truth.by_id and prediction.by_id else "name predictions"
        raise SegevalError(text, file=prediction_path, remedy=folder or f"{same} as their truth")
    if left:
        text = f"{len(left)} of {len(truth.keys())} images have no prediction: {_listed(mine)}"
        if missing == "error":
            text += alike + _left_out(prediction, "prediction")
            raise SegevalError(text, file=prediction_path, remedy=remedy)
        how = "left out" if missing == "skip" else "scored as predicted nothing"
        notes.append(Caution("prediction-missing", f"{text} ({how})"))
    if right:
        text = f"{len(right)} predictions have no truth: {_listed(theirs)}"
        if missing == "error":
            text += _left_out(truth, "truth")
            raise SegevalError(text, file=truth_path, remedy="remove them, or give --missing skip to ignore them")
        notes.append(Caution("prediction-extra", f"{text} (ignored)"))
    chosen: dict[Key, Key | None] = {key: pairs.get(key) for key in truth.keys() if key in pairs or missing == "empty"}
    return PairedSource(truth, prediction, chosen, taxonomy, tuple(notes), empty, void)
