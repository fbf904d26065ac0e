"""What a person sees while waiting; always on stderr, and only on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from segeval.errors import Caution
from segeval.kernels.cache import is_compiled
from segeval.results.tables import printable


def notice(text: str, quiet: bool) -> None:
    """One line on stderr, unless asked to be quiet."""
    if not quiet:
        print(f"segeval: {printable(text)}", file=sys.stderr)


def print_cautions(cautions: tuple[Caution, ...], quiet: bool) -> None:
    """What a reader of the score should know."""
    for caution in cautions:
        notice(f"note: {caution.message}", quiet)


@contextmanager
def progress_bar(task: str, quiet: bool, doing: str = "scoring") -> Iterator[Callable[[int, int], object] | None]:
    """A bar on a terminal, and a word before the first compilation."""
    if not is_compiled(task):
        notice(f"first {task} run on this machine: compiling once, about 10 s", quiet)
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        job = bar.add_task(doing, total=None)

        def report(done: int, total: int) -> None:
            bar.update(job, completed=done, total=total)

        yield report
