"""What every metric is: a printable rule that observes pairs, scores what it saw, and says how its figures are read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, Protocol, Self

from segeval.errors import SegevalError
from segeval.evidence.tally import Tally
from segeval.metrics.reweighting import Reweighted
from segeval.results.figures import FRACTION, Figure
from segeval.results.result import Result
from segeval.results.signature import Signature
from segeval.results.tables import Table
from segeval.samples.pairs import Pair
from segeval.samples.taxonomy import Taxonomy


class Metric(Protocol):
    """A rule: a frozen dataclass without state, derived from this class.

    What the product needs to know of a task it asks here, so that a new rule gets tables, intervals, comparisons,
    leaderboards, gates and a report without a change elsewhere.

    Attributes
    ----------
    task
        What the rule is asked for by: ``--task``.
    headline
        The value that decides: it sorts boards and is tested.
    reads
        The images that it observes: ``semantic`` label maps, ``instance`` sets or ``panoptic`` maps.
    title
        The task's name above a page.
    class_figures
        The figures of a class that people see; the first one has intervals and stands for the class.
    shown
        The values that a board shows; all of them if empty.
    image_figure
        The figure of a row of `per_image` by which images are compared; the headline if empty.
    figures
        How values, figures of classes and of images are read, by name; what is not named is a fraction.
    diagnoses
        What is known about a run's errors: by the type of a part the function that makes it of a result, or None. The
        report and the terminal show `segeval.metrics.confusions.Confusions`, the parts of our own rules, and `Table`.
    chunks_at_once
        How many chunks of images are observed in one call, where one is too little work.
    """

    task: ClassVar[str]
    headline: ClassVar[str]
    reads: ClassVar[str]
    title: ClassVar[str] = ""
    class_figures: ClassVar[tuple[str, ...]] = ()
    shown: ClassVar[tuple[str, ...]] = ()
    image_figure: ClassVar[str] = ""
    figures: ClassVar[Mapping[str, Figure]] = {}
    diagnoses: ClassVar[Mapping[type, Callable[[Result], Any]]] = {}
    chunks_at_once: ClassVar[int] = 1

    @property
    def taxonomy(self) -> Taxonomy | None:
        """The classes, or None where they are those of the truth."""
        ...

    @property
    def takes_counts(self) -> bool:
        """Whether counted overlaps (`segeval.samples.pairs.CountedOverlaps`) may stand in place of pixels."""
        return False

    @property
    def void_values(self) -> tuple[int, ...]:
        """The values that are no class."""
        return ()

    def counted(self, pair: Pair) -> Pair:
        """An image with its counts in place of its pixels, checked as `observe` does; if the rule `takes_counts`."""
        return pair

    def observe(self, pairs: Iterable[Pair]) -> Tally:
        """Exact sufficient statistics of some images."""
        ...

    def score(self, tally: Tally) -> Result:
        """The numbers that the statistics give."""
        ...

    def signature(self, tally: Tally) -> Signature:
        """Every choice that moves the numbers; also of a part of the images, which has no numbers."""
        return self.score(tally).signature

    def per_image(self, tally: Tally) -> list[dict[str, Any]]:
        """One row an image, worst first: its key as ``image``, and figures."""
        ...

    def figure(self, name: str) -> Figure:
        """How a figure is read."""
        return self.figures.get(name, FRACTION)

    def settled(self, tally: Tally) -> Self:
        """The rule with all that it would infer from this evidence said, so that a part is scored as the whole is."""
        return self

    def reweighted(self, tally: Tally) -> Reweighted:
        """The rows of a run, ready for any weights of its images.

        Raises
        ------
        SegevalError
            If the rule has no such form: its runs have no intervals and no tests.
        """
        raise SegevalError(
            f"the task {self.task!r} can't be resampled", remedy="leave out intervals: its rule has no `reweighted`"
        )

    def summary(self, result: Result) -> Table | None:
        """The table that stands above everything else; one row of values if None."""
        return None
