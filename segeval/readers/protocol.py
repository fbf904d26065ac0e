"""What a reader is: one side of the comparison, truth or prediction, image by image."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from segeval.errors import Caution
from segeval.samples.pairs import Key, Pair
from segeval.samples.taxonomy import Taxonomy


class Reader(Protocol):
    """One side: lazy and picklable. What `load` returns may live in a thread's buffers until its next `load`.

    It may have two attributes more: `taxonomy`, the classes that its files name, and `cautions`, what was inferred.
    """

    @property
    def by_id(self) -> bool:
        """Whether keys are image ids of a JSON file, rather than names of files."""
        ...

    def keys(self) -> Sequence[Key]:
        """The images, in a stable order."""
        ...

    def name(self, key: Key) -> str:
        """The name under which an image pairs with files."""
        ...

    def file(self, key: Key) -> str:
        """The file that holds an image."""
        ...

    def load(self, key: Key) -> Any:
        """What the metric reads: a label map (H, W), a `PanopticMap`, `Instances`."""
        ...


@dataclass(frozen=True)
class Side:
    """One side that is to be opened, and what is known by then.

    Parameters
    ----------
    name
        ``truth`` or ``prediction``.
    form
        The format: a name of ``FORMATS``, or of one that a package brings.
    reading
        How both sides are read (a `segeval.readers.reading.Reading`); their places are there, and paths of this
        machine.
    taxonomy
        The classes, if they are known.
    void
        Values that are void, if they are known: classes, or segment ids in COCO panoptic form.
    masks
        Whether masks are wanted, or boxes alone.
    truth
        The truth, where this is its prediction.
    """

    name: str
    form: str
    reading: Any
    taxonomy: Taxonomy | None = None
    void: tuple[int, ...] | None = None
    masks: bool = True
    truth: Reader | None = None

    @property
    def path(self) -> Path:
        """Where it lies."""
        return Path(self.reading.gt if self.name == "truth" else self.reading.pred)

    @property
    def suffix(self) -> str:
        """How the names of its files end; empty for all."""
        return str(self.reading.of(self.name, "suffix"))


class Notes:
    """What reading met on one side that a reader of the score should know; for many threads.

    A reader may have one as its attribute `notes`.
    """

    def __init__(self) -> None:
        self._files: dict[tuple[str, str, int | None], set[str]] = {}
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[type[Notes], tuple[()]]:
        return Notes, ()

    def add(self, code: str, text: str, file: object, void: int | None = None) -> None:
        """Note something about a file.

        Parameters
        ----------
        code, text
            As a `Caution` has them; files of one text are told together.
        file
            The file.
        void
            The value that may be meant as void, if that is what is noted.
        """
        with self._lock:
            self._files.setdefault((code, text, void), set()).add(str(file))

    def cautions(self, side: str, void: tuple[int, ...], option: str = "--void") -> list[Caution]:
        """One caution a text, with the number of files and the first of them.

        Parameters
        ----------
        side
            ``truth`` or ``prediction``.
        void
            The void in force; what is void already needs no word.
        option
            What gives another void.
        """
        told = []
        for (code, text, value), files in sorted(self._files.items(), key=str):
            if value is not None:
                if value in void:
                    continue
                text += f"; if it is void, give {option} {' '.join(map(str, sorted({*void, value})))}"
            first = Path(min(files)).name
            where = first if len(files) == 1 else f"{len(files)} files, the first is {first}"
            told.append(Caution(code, f"{side}: {text} ({where})"))
        return told


class Opener(Protocol):
    """How a format that a package brings is opened, if its path, classes and suffix are all that it needs."""

    def __call__(self, path: Path, side: str, taxonomy: Taxonomy | None, suffix: str) -> Reader:
        """One side.

        Parameters
        ----------
        path
            A folder or a file, which is there.
        side
            ``truth`` or ``prediction``.
        taxonomy
            The classes, if they were given.
        suffix
            Read only files whose names end so; empty for all.
        """
        ...


class Source(Protocol):
    """Pairs of truth and prediction, with what was learnt about them on the way."""

    @property
    def taxonomy(self) -> Taxonomy | None:
        """The classes that the truth names, if it does."""
        ...

    @property
    def cautions(self) -> tuple[Caution, ...]:
        """What a reader of the score should know."""
        ...

    def keys(self) -> Sequence[Key]:
        """The images that are scored."""
        ...

    def load(self, key: Key) -> Pair:
        """One image."""
        ...


_buffers = threading.local()


def buffer(side: str, make: Any) -> Any:
    """This thread's reusable buffer for one side, made on first use; truth and prediction must not share one."""
    kept = getattr(_buffers, side, None)
    if kept is None:
        kept = make()
        setattr(_buffers, side, kept)
    return kept
