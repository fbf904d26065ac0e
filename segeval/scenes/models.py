"""Two imaginary models, Aldo and Berta: predictions made from a scene's truth by systematic errors, without a network.

A model sees pixels only. It answers where the truth is void and knows of no crowds, so both are filled in and treated
like anything else before the errors are made.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from segeval.scenes.canvas import (
    BICYCLE,
    BUILDING,
    CLASSES,
    PERSON,
    POLE,
    ROAD,
    SIDEWALK,
    SIGN,
    SKY,
    VEGETATION,
    VOID,
    Segment,
    is_thing,
    noise,
    segment_id,
)
from segeval.scenes.street import Scene

Mask = NDArray[np.bool_]
Labels = NDArray[np.uint8]
T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True)
class Model:
    """A model as the errors that it makes; lengths are in pixels of an image 192 pixels high.

    Parameters
    ----------
    name
        Also part of the seed.
    shift
        Right and down, of everything.
    growth
        By how much things are too large.
    shrink
        (class, pixels) by how much more some classes are too small.
    smallest
        Things of fewer pixels are missed.
    confused
        (class, taken for, share of its area or of its instances).
    merge
        Instances of a class that come this close are taken for one; negative if never.
    invented
        Things seen in an image where there are none, on average.
    doubled
        Share of the detections that come twice.
    digits
        Of the scores; few digits make ties.
    """

    name: str
    shift: tuple[int, int]
    growth: int
    shrink: tuple[tuple[int, int], ...]
    smallest: int
    confused: tuple[tuple[int, int, float], ...]
    merge: int
    invented: float
    doubled: float
    digits: int


ALDO = Model(
    name="aldo",
    shift=(1, 1),
    growth=1,
    shrink=(),
    smallest=70,
    confused=(
        *((SIDEWALK, ROAD, 0.25), (ROAD, SIDEWALK, 0.08), (BUILDING, VEGETATION, 0.10), (VEGETATION, BUILDING, 0.12)),
        *((POLE, BUILDING, 0.5), (BICYCLE, PERSON, 0.2)),
    ),
    merge=2,
    invented=1.0,
    doubled=0.25,
    digits=1,
)
BERTA = Model(
    name="berta",
    shift=(1, 0),
    growth=0,
    shrink=((PERSON, 1),),
    smallest=40,
    confused=(
        *((SIDEWALK, ROAD, 0.08), (ROAD, SIDEWALK, 0.03), (VEGETATION, BUILDING, 0.05), (SKY, BUILDING, 0.02)),
        *((POLE, BUILDING, 0.2), (PERSON, BICYCLE, 0.25), (SIGN, PERSON, 0.1)),
    ),
    merge=-1,
    invented=0.4,
    doubled=0.1,
    digits=2,
)
MODELS = {model.name: model for model in (ALDO, BERTA)}

# Detections below this score are listed, but do not enter label maps.
_CONFIDENT = 0.5


@dataclass(frozen=True, eq=False)
class Guess:
    """A detection: class, score in (0, 1], (H, W) mask. Masks of one image may overlap."""

    category: int
    score: float
    mask: Mask


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a model says of an image, in the forms of the three tasks.

    `labels` and `ids` are as in `Scene`; `segments` lists every id but 0. `guesses` are in no order of score.
    """

    labels: Labels
    ids: NDArray[np.int32]
    segments: tuple[Segment, ...]
    guesses: tuple[Guess, ...]


def predict(scene: Scene, model: Model, index: int, *, seed: int = 0) -> Prediction:
    """What a model makes of scene `index` of a series; the same arguments give the same answer."""
    height, width = scene.labels.shape
    rng = np.random.default_rng((seed, index, zlib.crc32(model.name.encode())))
    unit = max(height, width) / 256
    labels, ids = _answer_everywhere(scene)
    across, down = (round(s * unit) for s in model.shift)
    labels, ids = _shifted(labels, across, down), _shifted(ids, across, down)
    stuff = _confuse_stuff(rng, _without_things(labels), model)
    guesses = _detect(rng, labels, ids, model, unit)
    return _assemble(stuff, guesses)


# ---- what a model sees ---------------------------------------------------------------------------------------


def _answer_everywhere(scene: Scene) -> tuple[Labels, NDArray[np.int32]]:
    """Void takes what lies above it; at the top of the image, what lies below."""
    known = scene.labels != VOID
    source = _nearest_above(known)
    columns = np.arange(known.shape[1])
    labels, ids = scene.labels[source, columns], scene.ids[source, columns]
    labels[labels == VOID] = SKY  # columns without any label
    return labels, ids


def _nearest_above(known: Mask) -> NDArray[np.intp]:
    """For every pixel the row of the nearest known one above it in its column, or else of the first below."""
    rows = np.arange(known.shape[0])[:, None]
    above = np.maximum.accumulate(np.where(known, rows, -1), axis=0)
    return np.where(above < 0, known.argmax(axis=0), above)


def _shifted(pixels: NDArray[T], across: int, down: int) -> NDArray[T]:
    """Moved right and down; the edge repeats."""
    height, width = pixels.shape
    rows = np.clip(np.arange(height) - down, 0, height - 1)
    columns = np.clip(np.arange(width) - across, 0, width - 1)
    return pixels[rows[:, None], columns]


def _without_things(labels: Labels) -> Labels:
    """What is behind the things: the stuff above them in the image."""
    stuff = ~np.isin(labels, [c for c in CLASSES.ids if is_thing(c)])
    behind = labels[_nearest_above(stuff), np.arange(labels.shape[1])]
    behind[np.isin(behind, [c for c in CLASSES.ids if is_thing(c)])] = ROAD
    return behind


def _confuse_stuff(rng: np.random.Generator, labels: Labels, model: Model) -> Labels:
    """Patches of one class become another."""
    wrong = labels.copy()
    height, width = labels.shape
    for category, taken_for, share in model.confused:
        field = noise(rng, height, width, max(height, width) / 14)
        inside = labels == category
        if is_thing(category) or not inside.any():
            continue
        wrong[inside & (field > np.quantile(field, 1 - share))] = taken_for
    return wrong


# ---- things --------------------------------------------------------------------------------------------------


def _detect(rng: np.random.Generator, labels: Labels, ids: NDArray[np.int32], model: Model, unit: float) -> list[Guess]:
    """The things that a model finds, with scores that know something of how well it did."""
    taken_for = {category: (other, share) for category, other, share in model.confused if is_thing(category)}
    shrink = dict(model.shrink)
    guesses = []
    for category, original in _instances(labels, ids, model, round(model.merge * unit)):
        chance, luck, ease = rng.random(), rng.normal(0, 0.07), rng.random()
        area = np.count_nonzero(original)
        if area < model.smallest * unit**2:
            continue
        mask = _grown(original, round((model.growth - shrink.get(category, 0)) * unit))
        if not mask.any():
            continue
        other, share = taken_for.get(category, (category, 0.0))
        mistaken = chance < share
        # Small things and mistaken ones look doubtful; merged ones don't.
        overlap = np.count_nonzero(mask & original) / np.count_nonzero(mask | original)
        quality = 0.35 + 0.3 * overlap + 0.33 * min(1.0, area / (900 * unit**2)) - 0.25 * mistaken
        score = quality + luck
        guesses.append(Guess(other if mistaken else category, _score(score, model), mask))
        if ease < model.doubled:
            guesses.append(Guess(category, _score(0.6 * score, model), _grown(_shifted(mask, 2, 1), round(unit))))
    invented = int(rng.poisson(model.invented))
    return guesses + [_invent(rng, labels, model, unit) for _ in range(invented)]


def _score(value: float, model: Model) -> float:
    least = 10.0**-model.digits
    return round(float(min(1 - least / 2, max(least, value))), model.digits)


def _instances(labels: Labels, ids: NDArray[np.int32], model: Model, near: int) -> list[tuple[int, Mask]]:
    """Classes and masks of the instances, ordered by id; close ones of a class are one if the model merges."""
    found: list[tuple[int, Mask]] = []
    for ident in np.unique(ids[ids > 0]).tolist():
        mask = ids == ident
        category = int(labels[mask][0])
        if not is_thing(category):
            continue
        if near >= 0:
            halo = _grown(mask, near + 1)
            for k, (other, theirs) in enumerate(found):
                if other == category and (halo & theirs).any():
                    found[k] = (category, theirs | mask)
                    break
            else:
                found.append((category, mask))
        else:
            found.append((category, mask))
    return found


def _grown(mask: Mask, steps: int) -> Mask:
    """Dilated by a cross so many times, or eroded if negative."""
    if steps < 0:
        return ~_grown(~mask, -steps)
    for _ in range(steps):
        larger = mask.copy()
        larger[1:] |= mask[:-1]
        larger[:-1] |= mask[1:]
        larger[:, 1:] |= mask[:, :-1]
        larger[:, :-1] |= mask[:, 1:]
        mask = larger
    return mask


def _invent(rng: np.random.Generator, labels: Labels, model: Model, unit: float) -> Guess:
    """A thing that isn't there: an upright blob around the height of the horizon."""
    height, width = labels.shape
    category = int(rng.choice([c for c in CLASSES.ids if is_thing(c)]))
    tall = rng.uniform(5, 14) * unit
    wide = tall * (0.45 if category == PERSON else 1.1)
    y, x = rng.uniform(0.45, 0.65) * height, rng.uniform(0.05, 0.95) * width
    rows, columns = np.arange(height)[:, None], np.arange(width)
    mask = ((rows - y) / tall) ** 2 + ((columns - x) / wide) ** 2 < 1
    return Guess(category, _score(rng.uniform(0.1, 0.75), model), mask)


# ---- the forms -----------------------------------------------------------------------------------------------


def _assemble(stuff: Labels, guesses: list[Guess]) -> Prediction:
    """Paint the confident detections onto the stuff, the surest last."""
    labels = stuff.copy()
    ids = np.zeros(stuff.shape, np.int32)
    segments: dict[int, Segment] = {}
    for category in np.unique(stuff).tolist():
        ident = segment_id(category, 0)
        segments[ident] = Segment(ident, category, False)
        ids[stuff == category] = ident
    numbers = dict.fromkeys(CLASSES.ids, 0)
    for guess in sorted(guesses, key=lambda g: g.score):
        if guess.score < _CONFIDENT:
            continue
        ident = segment_id(guess.category, numbers[guess.category])
        numbers[guess.category] += 1
        segments[ident] = Segment(ident, guess.category, True)
        labels[guess.mask], ids[guess.mask] = guess.category, ident
    visible = np.unique(ids).tolist()
    return Prediction(labels, ids, tuple(segments[k] for k in visible), tuple(guesses))
