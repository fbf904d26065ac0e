"""Panoptic maps without a JSON: the class and the number of each segment written into its pixels."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from segeval.conversion.content import ListedSegment, Partition, relabel
from segeval.errors import SegevalError
from segeval.readers.maps.panoptic import BASE, CROWD

_LARGEST_CLASS = 255


def numbers_of(
    segments: tuple[ListedSegment, ...], things: Collection[int], most: int, *, file: object, key: object
) -> dict[int, int]:
    """The number of each instance among those of its class, by segment id.

    A segment whose id is class * 1000 + number keeps this number; others are numbered from 1, in their order.

    Raises
    ------
    SegevalError
        If a class has more than `most` instances.
    """
    numbers: dict[int, int] = {}
    used: set[tuple[int, int]] = set()
    instances = [s for s in segments if s.category in things and not s.crowd]
    for segment in instances:
        if segment.id // BASE == segment.category and segment.id % BASE <= most:
            numbers[segment.id] = segment.id % BASE
            used.add((segment.category, segment.id % BASE))
    following: dict[int, int] = {}
    for segment in instances:
        if segment.id in numbers:
            continue
        number = following.get(segment.category, 1)
        while (segment.category, number) in used:
            number += 1
        if number > most:
            raise SegevalError(
                f"holds more than {most} instances of class {segment.category}",
                file=file,
                key=key,
                remedy="this form has no room for them: take --to coco-panoptic or coco-instances",
            )
        numbers[segment.id] = number
        following[segment.category] = number + 1
    return numbers


def codes_of(
    partition: Partition, things: Collection[int], void: int, *, file: object = None, key: object = None
) -> NDArray[np.uint32]:
    """A map of class * 1000 + instance; a bare class is stuff, or a crowd of things.

    Parameters
    ----------
    partition
        The segments; several crowds, and several stuff segments, of one class become one.
    things
        The classes that have instances.
    void
        Written where there is no segment.

    Raises
    ------
    SegevalError
        For classes that the form can't hold, and for too many instances.
    """
    numbers = numbers_of(partition.segments, things, BASE - 1, file=file, key=key)
    table: dict[int, int] = {}
    for segment in partition.segments:
        category = segment.category
        bare = segment.id not in numbers
        if category >= BASE or (category == void and bare) or (category == 0 and not bare):
            raise SegevalError(
                f"class {category} can't be written as class * 1000 + instance with void {void}",
                file=file,
                key=key,
                remedy="renumber the classes by --map, or give --to-void" if category < BASE else "renumber by --map",
            )
        table[segment.id] = 1 + (category if bare else category * BASE + numbers[segment.id])
    # Moved up by one while they are looked up, so that class 0 is not taken for void.
    codes = relabel(partition.ids, table)
    return np.where(codes == 0, np.uint32(void), codes - np.uint32(1))


def channels_of(
    partition: Partition, things: Collection[int], *, file: object = None, key: object = None
) -> NDArray[np.uint8]:
    """(H, W, 3): R the class, G the instance (255 a crowd, 0 stuff), B nothing; all 0 is void.

    Raises
    ------
    SegevalError
        For classes beyond 1 to 255, and for more than 254 instances of a class.
    """
    numbers = numbers_of(partition.segments, things, CROWD - 1, file=file, key=key)
    table: dict[int, int] = {}
    for segment in partition.segments:
        if not 1 <= segment.category <= _LARGEST_CLASS:
            raise SegevalError(
                f"class {segment.category} can't be written in one channel beside void 0",
                file=file,
                key=key,
                remedy="renumber the classes from 1 to 255 by --map",
            )
        table[segment.id] = segment.category + 256 * (CROWD if segment.crowd else numbers.get(segment.id, 0))
    codes = relabel(partition.ids, table)
    return np.stack([codes & 255, codes >> 8, np.zeros_like(codes)], axis=-1).astype(np.uint8)
