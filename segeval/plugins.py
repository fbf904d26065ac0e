"""What other packages bring through entry points: looked up only where a name is none of our own."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import TypeVar

from segeval.errors import SegevalError, nearest

FORMATS = "segeval.formats"
"""Entry points that are a ``segeval.readers.formats.Format``."""

TASKS = "segeval.tasks"
"""Entry points that are a rule, as those of ``segeval.tasks``."""

T = TypeVar("T")


def own_or_plugin(name: str, own: Mapping[str, T], group: str, what: str) -> T:
    """An entry of a registry, or else what a package brings under the name.

    Parameters
    ----------
    name
        The name that is wanted.
    own
        The registry.
    group
        The group of entry points.
    what
        What the name names, for messages.

    Raises
    ------
    SegevalError
        If there is none (suggesting the nearest name), several packages bring one, or it can't be loaded.
    """
    if name in own:
        return own[name]
    points = entry_points(group=group)
    found = [point for point in points if point.name == name]
    if not found:
        known = list(dict.fromkeys([*own, *sorted(point.name for point in points)]))
        raise SegevalError(f"{name!r} is no {what}", remedy=nearest(name, known, "give one of"))
    if len(found) > 1:
        both = " and ".join(sorted(_package(point) for point in found))
        raise SegevalError(f"{both} both bring the {what} {name!r}", remedy="uninstall all but one")
    try:
        loaded: T = found[0].load()
    except Exception as error:
        # Whatever a package raises while it is imported, it is that package which is broken.
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise SegevalError(
            f"the {what} {name!r} of {_package(found[0])} can't be loaded ({reason})", remedy="upgrade or remove it"
        ) from None
    return loaded


def _package(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist is not None else point.value
