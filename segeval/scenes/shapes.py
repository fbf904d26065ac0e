"""The things and the street furniture of the scenes, drawn in metres from where they stand."""

from __future__ import annotations

import numpy as np

from segeval.scenes.canvas import Floats, Mask, Shape, tone

Colour = tuple[float, float, float]

_PAINTS: tuple[Colour, ...] = (
    *((0.75, 0.75, 0.77), (0.42, 0.43, 0.45), (0.12, 0.12, 0.14), (0.88, 0.88, 0.86)),
    *((0.55, 0.10, 0.10), (0.12, 0.20, 0.42), (0.30, 0.36, 0.30), (0.62, 0.52, 0.36)),
)
_GLASS: Colour = (0.17, 0.21, 0.26)
_TYRE: Colour = (0.07, 0.07, 0.08)
_METAL: Colour = (0.38, 0.39, 0.40)


def _colours(shape: tuple[int, ...], colour: Colour) -> Floats:
    return np.broadcast_to(tone(colour), (*shape, 3)).copy()


def _disc(u: Floats, v: Floats, centre: tuple[float, float], radii: tuple[float, float]) -> Mask:
    inside: Mask = ((u - centre[0]) / radii[0]) ** 2 + ((v - centre[1]) / radii[1]) ** 2 < 1
    return inside


def _bar(u: Floats, v: Floats, start: tuple[float, float], end: tuple[float, float], thick: float) -> Mask:
    """Within a distance of a straight line between two points."""
    across, up = end[0] - start[0], end[1] - start[1]
    along = np.clip(((u - start[0]) * across + (v - start[1]) * up) / (across**2 + up**2), 0, 1)
    near: Mask = (u - start[0] - along * across) ** 2 + (v - start[1] - along * up) ** 2 < thick**2
    return near


def _varied(rng: np.random.Generator, colour: Colour, amount: float = 0.08) -> Colour:
    r, g, b = np.clip(np.array(colour) + rng.uniform(-amount, amount, 3) + rng.uniform(-amount, amount), 0.02, 1)
    return float(r), float(g), float(b)


def car_from_behind(rng: np.random.Generator) -> tuple[Shape, tuple[float, float]]:
    """A car or a van that drives along the street, towards the camera or away, and its size."""
    van = rng.random() < 0.25
    wide, tall = rng.uniform(1.75, 2.0), rng.uniform(1.9, 2.3) if van else rng.uniform(1.4, 1.6)
    paint = _varied(rng, _PAINTS[rng.integers(len(_PAINTS))])
    lamp: Colour = (0.85, 0.12, 0.10) if rng.random() < 0.6 else (0.98, 0.95, 0.80)
    roof = 0.46 if van else 0.36

    def draw(u: Floats, v: Floats, pixel: float) -> tuple[Mask, Floats]:
        side, up = np.abs(u) / wide, v / tall
        belt = 0.62
        body = (side < 0.5 - 0.06 * np.abs(up - 0.4)) & (up > 0.16) & (up <= belt)
        cabin = (up > belt) & (up < 1) & (side < 0.48 + (roof - 0.48) * (up - belt) / (1 - belt))
        wheels = (side > 0.30) & (side < 0.47) & (up > 0) & (up <= 0.25)
        colour = _colours(u.shape, paint) * (0.72 + 0.35 * up)[..., None]
        glass = (up > belt + 0.03) & (up < 0.93) & (side < roof + 0.07 - 0.12 * (up - belt))
        colour[glass] = _GLASS
        colour[glass & (np.abs(u - v + 0.6) < 0.12)] = (0.5, 0.55, 0.6)
        colour[(side > 0.34) & (up > 0.42) & (up < 0.56)] = lamp
        colour[(side < 0.13) & (up > 0.26) & (up < 0.34)] = (0.85, 0.85, 0.8)
        colour[(up < 0.22) | wheels] = _TYRE
        return body | cabin | wheels, colour

    return draw, (wide, tall)


def car_from_the_side(rng: np.random.Generator) -> tuple[Shape, tuple[float, float]]:
    """A car that crosses the street."""
    long, tall = rng.uniform(4.0, 4.7), rng.uniform(1.4, 1.6)
    paint = _varied(rng, _PAINTS[rng.integers(len(_PAINTS))])
    facing = 1 if rng.random() < 0.5 else -1

    def draw(u: Floats, v: Floats, pixel: float) -> tuple[Mask, Floats]:
        along, up = facing * u / long, v / tall
        body = (np.abs(along) < 0.5 - 0.08 * np.clip(up - 0.45, 0, 1)) & (up > 0.17) & (up <= 0.6)
        rise = np.clip((up - 0.6) / 0.4, 0, 1)
        cabin = (up > 0.6) & (up < 1) & (along > -0.44 + 0.10 * rise) & (along < 0.22 - 0.16 * rise)
        wheel = _disc(u, v, (-0.31 * long, 0.32), (0.33, 0.33)) | _disc(u, v, (0.31 * long, 0.32), (0.33, 0.33))
        colour = _colours(u.shape, paint) * (0.72 + 0.35 * up)[..., None]
        glass = (up > 0.64) & (up < 0.93) & (along > -0.40 + 0.10 * rise) & (along < 0.18 - 0.16 * rise)
        colour[glass & (np.abs(along + 0.12) > 0.012)] = _GLASS
        hub = _disc(u, v, (-0.31 * long, 0.32), (0.16, 0.16)) | _disc(u, v, (0.31 * long, 0.32), (0.16, 0.16))
        colour[wheel | (up < 0.2)] = _TYRE
        colour[hub] = (0.6, 0.6, 0.62)
        return body | cabin | wheel, colour

    return draw, (long, tall)


def person(rng: np.random.Generator, lift: float = 0.0) -> tuple[Shape, tuple[float, float]]:
    """Somebody who walks, or rides if lifted above the ground by some metres."""
    tall = rng.uniform(1.55, 1.88)
    shirt = _varied(rng, (rng.uniform(0.1, 0.9), rng.uniform(0.1, 0.75), rng.uniform(0.1, 0.8)))
    trousers = _varied(rng, ((0.12, 0.15, 0.25), (0.15, 0.15, 0.15), (0.40, 0.36, 0.30))[rng.integers(3)])
    skin = _varied(rng, ((0.82, 0.64, 0.52), (0.55, 0.38, 0.28), (0.35, 0.23, 0.17))[rng.integers(3)], 0.04)
    hair = _varied(rng, ((0.10, 0.08, 0.07), (0.35, 0.24, 0.14), (0.62, 0.52, 0.34))[rng.integers(3)], 0.04)
    step, bulk = rng.uniform(0.03, 0.13), rng.uniform(0.95, 1.2)

    def draw(u: Floats, v: Floats, pixel: float) -> tuple[Mask, Floats]:
        side, up = u / tall, (v - lift) / tall
        head = _disc(side, up, (0, 0.92), (0.062, 0.08))
        torso = _disc(side, up, (0, 0.67), (0.135 * bulk, 0.215)) & (up > 0.44)
        least = 0.6 * pixel / tall
        thick = max(0.048 * bulk, least)
        legs = _bar(side, up, (0.02, 0.48), (step, 0.02), thick) | _bar(side, up, (-0.02, 0.48), (-step, 0.02), thick)
        colour = _colours(u.shape, shirt) * (1.0 + 0.8 * side)[..., None]
        colour[np.abs(side) > 0.095 * bulk] *= 0.8
        colour[legs & (up < 0.47)] = trousers
        colour[legs & (up < 0.05)] = (0.08, 0.07, 0.07)
        colour[head] = skin
        colour[head & (up > 0.945)] = hair
        return head | torso | (legs & (up > -least)), colour

    return draw, (0.5 * tall, tall + lift)


def bicycle(rng: np.random.Generator) -> tuple[Shape, tuple[float, float]]:
    """A bicycle seen from its side."""
    paint = _varied(
        rng, ((0.70, 0.15, 0.12), (0.10, 0.28, 0.50), (0.10, 0.10, 0.10), (0.15, 0.45, 0.3))[rng.integers(4)]
    )
    facing = 1 if rng.random() < 0.5 else -1

    def draw(u: Floats, v: Floats, pixel: float) -> tuple[Mask, Floats]:
        along = facing * u
        rim = max(0.06, 0.7 * pixel)
        rings = np.zeros(u.shape, bool)
        for hub in (-0.52, 0.52):
            distance = np.sqrt((along - hub) ** 2 + (v - 0.34) ** 2)
            rings |= (np.abs(distance - 0.32) < rim) | (distance < rim)
        pairs = (
            *(((-0.52, 0.34), (-0.12, 0.32)), ((-0.12, 0.32), (0.36, 0.78)), ((-0.12, 0.32), (-0.22, 0.88))),
            *(((-0.22, 0.78), (0.36, 0.78)), ((0.36, 0.95), (0.52, 0.34)), ((-0.52, 0.34), (-0.22, 0.78))),
            *(((-0.34, 0.92), (-0.12, 0.92)), ((0.26, 1.0), (0.46, 0.98))),
        )
        frame = np.zeros(u.shape, bool)
        for start, end in pairs:
            frame |= _bar(along, v, start, end, max(0.045, 0.6 * pixel))
        colour = _colours(u.shape, _TYRE)
        colour[frame] = paint
        colour[frame & (v > 0.85)] = _TYRE
        return rings | frame, colour

    return draw, (1.85, 1.1)


def pole(rng: np.random.Generator, tall: float, *, lamp: bool) -> tuple[Shape, tuple[float, float]]:
    """A pole, perhaps with a lamp on an arm."""
    metal = _varied(rng, _METAL if rng.random() < 0.7 else (0.45, 0.36, 0.27))
    arm = rng.choice((-1.0, 1.0)) * rng.uniform(0.8, 1.5) if lamp else 0.0

    def draw(u: Floats, v: Floats, pixel: float) -> tuple[Mask, Floats]:
        thick = max(0.08, 0.75 * pixel)
        mask = (np.abs(u) < thick) & (v > 0) & (v < tall)
        colour = _colours(u.shape, metal) * (1 + 0.25 * np.clip(u / thick, -1, 1))[..., None]
        if lamp:
            mask |= _bar(u, v, (0, tall - 0.1), (arm, tall), max(0.07, 0.6 * pixel))
            head = _disc(u, v, (arm, tall), (0.42, max(0.14, 0.8 * pixel)))
            mask |= head
            colour[head] = (0.78, 0.78, 0.70)
        return mask, colour

    return draw, (2 * abs(arm) + 1.0, tall + 0.3)


def sign(rng: np.random.Generator, tall: float) -> tuple[Shape, tuple[float, float]]:
    """The plate of a traffic sign on top of a pole of that height."""
    kind = int(rng.integers(3))
    radius = rng.uniform(0.34, 0.48)
    rim, face = (
        ((0.75, 0.10, 0.10), (0.92, 0.92, 0.90)),
        ((0.78, 0.12, 0.12), (0.95, 0.92, 0.85)),
        ((0.88, 0.88, 0.9), (0.10, 0.25, 0.62)),
    )[kind]

    def draw(u: Floats, v: Floats, pixel: float) -> tuple[Mask, Floats]:
        across, up = u / radius, (v - tall) / radius
        if kind == 0:
            distance = np.sqrt(across**2 + up**2)
        elif kind == 1:  # a triangle: the largest of three distances to its sides
            distance = np.maximum(-2 * up, up + 1.732 * np.abs(across)) / 1.15
        else:
            distance = np.maximum(np.abs(across), np.abs(up))
        colour = _colours(u.shape, rim)
        colour[distance < 0.68] = face
        colour[(distance < 0.4) & (np.abs(across) < 0.18)] = (0.1, 0.1, 0.12) if kind < 2 else (0.95, 0.95, 0.95)
        return distance < 1, colour

    return draw, (2.4 * radius, tall + 1.3 * radius)


def tree(rng: np.random.Generator, texture: Floats) -> tuple[Shape, tuple[float, float]]:
    """A trunk and a crown that a texture of noise (at least as large as what is drawn) frays."""
    trunk, reach, tall = rng.uniform(1.8, 2.6), rng.uniform(1.3, 2.2), rng.uniform(1.5, 2.4)
    leaves = _varied(rng, ((0.20, 0.34, 0.12), (0.28, 0.36, 0.14), (0.36, 0.33, 0.13))[rng.integers(3)], 0.05)

    def draw(u: Floats, v: Floats, pixel: float) -> tuple[Mask, Floats]:
        fray = texture[: u.shape[0], : u.shape[1]]
        distance = np.sqrt((u / reach) ** 2 + ((v - trunk - 0.7 * tall) / tall) ** 2)
        crown = distance < 0.85 + 0.3 * fray
        stem = (np.abs(u) < max(0.13, 0.7 * pixel)) & (v > 0) & (v < trunk + 0.5)
        light = 0.85 + 0.55 * fray + 0.25 * (v - trunk - tall) / tall - 0.1 * u / reach
        colour = _colours(u.shape, leaves) * np.clip(light, 0.35, 1.7)[..., None]
        colour[stem & ~crown] = (0.26, 0.19, 0.13)
        return crown | stem, colour

    return draw, (2.6 * reach, trunk + 2.2 * tall)


def litter_bin(rng: np.random.Generator) -> tuple[Shape, tuple[float, float]]:
    """Something that no class describes."""
    wide, tall = rng.uniform(0.6, 1.2), rng.uniform(0.9, 1.3)
    paint = _varied(rng, ((0.30, 0.32, 0.20), (0.45, 0.25, 0.10), (0.2, 0.25, 0.3))[rng.integers(3)])

    def draw(u: Floats, v: Floats, pixel: float) -> tuple[Mask, Floats]:
        side, up = np.abs(u) / wide, v / tall
        colour = _colours(u.shape, paint) * (0.8 + 0.4 * u / wide)[..., None]
        colour[up > 0.85] = (0.12, 0.12, 0.13)
        return (side < 0.42 + 0.08 * up) & (up > 0) & (up < 1), colour

    return draw, (wide, tall)
