"""Synthetic street scenes: small images with their truth, made from a seed and nothing else.

They stand in for a data set in the demo, in tests, in tutorials and when a small network is trained: stuff and things
in perspective that hide one another, groups of persons, unlabelled regions, ragged borders, and colours that overlap.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segeval.errors import SegevalError
from segeval.scenes import shapes
from segeval.scenes.backdrop import Street, lay_out, new_canvas
from segeval.scenes.canvas import (
    BICYCLE,
    CAR,
    PERSON,
    POLE,
    SIGN,
    VEGETATION,
    VOID,
    Canvas,
    Floats,
    Segment,
    noise,
)

SMALLEST = 16  # pixels a side
# A segment of fewer pixels than this share of the image is not annotated: its pixels become void.
_SPECK = 1 / 4096


@dataclass(frozen=True, eq=False)
class Scene:
    """An image and its truth.

    Parameters
    ----------
    image
        (H, W, 3) uint8 RGB.
    labels
        (H, W) uint8 class ids of `CLASSES`; 255 is void. A crowd has the class of its members.
    ids
        (H, W) int32 segment ids below 2^24; 0 is void, exactly where `labels` is 255.
    segments
        What the ids stand for, ascending by id; each has at least one pixel.
    """

    image: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    ids: NDArray[np.int32]
    segments: tuple[Segment, ...]


def make_scene(index: int, *, seed: int = 0, height: int = 192, width: int = 256) -> Scene:
    """Scene `index` of an endless series.

    Each scene has a generator of its own, so it does not depend on how many are made, or in which order. Of eight
    in a row two hold a crowd, one a large car close by, and one no thing at all.

    Parameters
    ----------
    index, seed
        Which scene of which series; at least 0.
    height, width
        Size in pixels, at least 16 each.

    Raises
    ------
    SegevalError
        If a number is below its least value.
    """
    if index < 0 or seed < 0:
        raise SegevalError(f"scene {index} of seed {seed} does not exist", remedy="count from 0")
    if min(height, width) < SMALLEST:
        raise SegevalError(
            f"{width}x{height} is too small for a scene", remedy=f"give at least {SMALLEST} pixels a side"
        )
    rng = np.random.default_rng((seed, index))
    canvas = new_canvas(rng, height, width)
    street = lay_out(canvas)
    _furnish(canvas, street, empty=index % 8 == 5, crowd=index % 8 in (1, 3), close=index % 8 == 7)
    _unlabelled(canvas)
    return _finish(canvas)


# ---- who stands where ----------------------------------------------------------------------------------------


def _depths(rng: np.random.Generator, counts: tuple[int, int], near: float, far: float) -> list[float]:
    """Some depths in metres, spread evenly in the image's scale and not in the street's; `counts` is half-open."""
    return [float(d) for d in np.exp(rng.uniform(np.log(near), np.log(far), rng.integers(*counts)))]


def _furnish(canvas: Canvas, street: Street, *, empty: bool, crowd: bool, close: bool) -> None:
    """Put trees, poles and things on the street, from far to near."""
    rng = canvas.rng
    orders: list[tuple[float, str, float]] = []
    for side in (-1.0, 1.0):
        verge = street.centre + side * (street.road + 0.6)
        pavement = street.centre + side * (street.road + 0.6 * street.pavement)
        orders += [(z, "tree", pavement + side * 0.8) for z in _depths(rng, (0, 3), 9, 50)]
        orders += [(z, "pole", verge) for z in _depths(rng, (1, 3), 7, 45)]
        orders += [(z, "bin", pavement) for z in _depths(rng, (0, 2), 7, 20)]
        if empty:
            continue
        kerb = street.centre + side * (street.road - 1.0)
        orders += [(z, "sign", verge) for z in _depths(rng, (0, 3), 6, 26)]
        orders += [(z, "car", kerb) for z in _depths(rng, (0, 5), 5.5, 45)]
        orders += [(z, "bicycle", verge + side * rng.uniform(0, 0.6)) for z in _depths(rng, (0, 3), 5, 22)]
        for z in _depths(rng, (0, 4), 4.5, 32):
            place = street.centre + side * (street.road + rng.uniform(0.3, street.pavement))
            company = rng.integers(1, 4) if rng.random() < 0.4 else 1
            orders += [(z + 0.15 * k, "person", place + 0.42 * k) for k in range(company)]
    if not empty:
        if close or rng.random() < 0.3:
            depth = float(rng.uniform(2.3, 2.7) if close else rng.uniform(3.2, 5.0))
            orders.append((depth, "car", rng.uniform(-0.2, 0.6)))
        if rng.random() < 0.3:
            orders.append(
                (float(rng.uniform(9, 22)), "crossing car", street.centre + rng.uniform(-0.5, 0.5) * street.road)
            )
        orders += [
            (z, "rider", street.centre + rng.uniform(-0.8, 0.8) * street.road) for z in _depths(rng, (0, 3), 6, 20)
        ]
    if crowd:
        across = rng.uniform(-0.9, 0.9) * street.road
        orders.append((float(rng.uniform(11, 17)), "crowd", street.centre + across))
    for depth, what, offset in sorted(orders, key=lambda order: -order[0]):
        _put(canvas, what, depth, offset)


def _put(canvas: Canvas, what: str, depth: float, offset: float) -> None:
    rng, at = canvas.rng, (offset, depth)
    if what == "tree":
        canvas.place(*shapes.tree(rng, _leaves(canvas, depth)), at, VEGETATION)
    elif what == "pole":
        canvas.place(*shapes.pole(rng, rng.uniform(4.5, 7.0), lamp=rng.random() < 0.7), at, POLE, shadow=False)
    elif what == "bin":
        canvas.place(*shapes.litter_bin(rng), at, VOID)
    elif what == "sign":
        tall = rng.uniform(2.0, 2.7)
        canvas.place(*shapes.pole(rng, tall, lamp=False), at, POLE, shadow=False)
        canvas.place(*shapes.sign(rng, tall), at, SIGN, shadow=False)
    elif what == "car":
        canvas.place(*shapes.car_from_behind(rng), at, CAR)
    elif what == "crossing car":
        canvas.place(*shapes.car_from_the_side(rng), at, CAR)
    elif what == "bicycle":
        canvas.place(*shapes.bicycle(rng), at, BICYCLE)
    elif what == "rider":
        canvas.place(*shapes.bicycle(rng), at, BICYCLE)
        canvas.place(*shapes.person(rng, lift=0.35), at, PERSON, shadow=False)
    elif what == "person":
        canvas.place(*shapes.person(rng), at, PERSON)
    else:
        group = canvas.segment(PERSON, iscrowd=True)
        for k in range(int(rng.integers(9, 15))):
            place = (offset + 0.33 * (k % 7) + rng.uniform(-0.1, 0.1), depth - 0.5 * (k // 7))
            canvas.place(*shapes.person(rng), place, PERSON, group)


def _leaves(canvas: Canvas, depth: float) -> Floats:
    height, width = canvas.labels.shape
    coarse = max(1.5, 0.45 * canvas.view.scale(depth))
    rough = noise(canvas.rng, height, width, coarse) + 0.7 * noise(canvas.rng, height, width, max(1.0, coarse / 3))
    return np.asarray(rough / 1.7, np.float32)


# ---- what nobody labelled ------------------------------------------------------------------------------------


def _unlabelled(canvas: Canvas) -> None:
    """The bonnet of the car that carries the camera, or ragged patches that an annotator left out."""
    rng = canvas.rng
    height, width = canvas.labels.shape
    everything = (slice(None), slice(None))
    if rng.random() < 0.55:
        across = (canvas.x - width * rng.uniform(0.45, 0.55)) / (0.62 * width)
        rise = height * (1 - rng.uniform(0.06, 0.11) * np.clip(1 - across**2, 0, 1) ** 0.5)
        bonnet = (canvas.y > rise) & (np.abs(across) < 1)
        shade = 0.16 + 0.25 * np.clip(1 - (canvas.y - rise) / (0.05 * height), 0, 1)
        canvas.paint(everything, bonnet, np.stack([shade, shade, 1.1 * shade], axis=-1)[bonnet], VOID, 0)
        return
    patch = noise(rng, height, width, height / 5)
    # What the patch hides stays in the image: only the annotation has a hole.
    hidden = patch > np.quantile(patch, rng.uniform(0.95, 0.98))
    canvas.labels[hidden] = VOID
    canvas.ids[hidden] = 0


def _finish(canvas: Canvas) -> Scene:
    """Develop the picture, and drop segments that nothing or next to nothing is left of."""
    rng, rgb = canvas.rng, canvas.rgb
    height, width = canvas.labels.shape
    for axis in (0, 1):  # a lens is not sharper than its pixels
        padded = np.concatenate([rgb.take([0], axis), rgb, rgb.take([-1], axis)], axis)
        before, after = (np.arange(k, k + rgb.shape[axis]) for k in (0, 2))
        rgb = 0.5 * rgb + 0.25 * (padded.take(before, axis) + padded.take(after, axis))
    light = rng.uniform(0.72, 1.18) * (1 + 0.14 * noise(rng, height, width, max(height, width) / 2))
    tint = 1 + rng.uniform(-0.07, 0.07, 3)
    grain = rng.normal(0, rng.uniform(0.008, 0.028), rgb.shape)
    image = np.clip((rgb * light[..., None] * tint + grain) * 255, 0, 255).round().astype(np.uint8)

    least = max(4.0, height * width * _SPECK)
    left, inverse, areas = np.unique(canvas.ids, return_inverse=True, return_counts=True)
    faint = (areas < least) & (left > 0)
    speck = faint[inverse.reshape(height, width)]
    canvas.ids[speck] = 0
    canvas.labels[speck] = VOID
    kept = left[~faint & (left > 0)].tolist()
    return Scene(image, canvas.labels, canvas.ids, tuple(canvas.segments[k] for k in kept))
