"""What a synthetic street consists of before anything stands on it: sky, facades, road and pavements."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from segeval.scenes.canvas import (
    BUILDING,
    CAMERA_HEIGHT,
    ROAD,
    SIDEWALK,
    SKY,
    VEGETATION,
    VOID,
    Canvas,
    Floats,
    Mask,
    View,
    noise,
    tone,
)

_ALL = (slice(None), slice(None))
_FAR = 90.0  # metres to where the street ends
_WALLS = (
    *((0.52, 0.34, 0.27), (0.66, 0.58, 0.47), (0.55, 0.54, 0.53), (0.74, 0.72, 0.68)),
    *((0.45, 0.44, 0.47), (0.60, 0.48, 0.40), (0.40, 0.42, 0.38)),
)


@dataclass(frozen=True)
class Street:
    """Half the width of the road, the width of each pavement, and the middle of the road, in metres."""

    road: float
    pavement: float
    centre: float


def new_canvas(rng: np.random.Generator, height: int, width: int) -> Canvas:
    """An empty canvas with a camera of its own."""
    size = min(height, width)
    rows, columns = np.arange(height, dtype=np.float32)[:, None], np.arange(width, dtype=np.float32)
    fray = max(1.0, size / 190)
    x, y = (
        grid + fray * (0.55 * noise(rng, height, width, 2.5 * fray) + 0.9 * noise(rng, height, width, 9 * fray))
        for grid in (columns, rows)
    )
    view = View(
        horizon=height * rng.uniform(0.38, 0.48),
        vanishing=width * rng.uniform(0.38, 0.62),
        focal=size * rng.uniform(0.95, 1.15),
    )
    overcast = rng.uniform(0, 1)
    clear, cloudy = np.array((0.42, 0.62, 0.86)), np.array((0.78, 0.79, 0.80))
    red, green, blue = (clear + (cloudy - clear) * overcast).tolist()
    return Canvas(
        rgb=np.zeros((height, width, 3), np.float32),
        labels=np.full((height, width), VOID, np.uint8),
        ids=np.zeros((height, width), np.int32),
        x=x,
        y=y,
        view=view,
        rng=rng,
        haze=(red, green, blue),
    )


def lay_out(canvas: Canvas) -> Street:
    """Paint sky, ground and the two sides of the street."""
    rng = canvas.rng
    road = rng.uniform(3.4, 5.5)
    street = Street(road, rng.uniform(2.2, 4.0), rng.uniform(-0.35, 0.35) * road)
    _sky(canvas)
    _skyline(canvas)
    _ground(canvas, street)
    for side in (-1, 1):
        _facades(canvas, side, street.centre + side * (street.road + street.pavement + rng.uniform(0.0, 1.5)))
    return street


def _fill(canvas: Canvas, mask: Mask, colours: Floats, category: int, depth: Floats | None = None) -> None:
    """Paint stuff: `colours` are one, one a pixel of the image, or one a pixel of the mask; far ones fade into haze."""
    if not mask.any():
        return
    if colours.ndim == 3:
        colours = colours[mask]
    if depth is not None:
        clear = (110 / (110 + depth[mask]))[:, None]
        colours = colours * clear + tone(canvas.haze) * (1 - clear)
    canvas.paint(_ALL, mask, colours, category, canvas.segment(category))


def _sky(canvas: Canvas) -> None:
    height, width = canvas.labels.shape
    rise = np.clip(1 - canvas.y / max(canvas.view.horizon, 1), 0, 1)[..., None]
    cloud = np.clip(
        noise(canvas.rng, height, width, height / 4) + 0.5 * noise(canvas.rng, height, width, height / 10), 0, 1
    )
    colour = tone(canvas.haze) * (1 - 0.22 * rise) + 0.16 * cloud[..., None] + 0.06
    _fill(canvas, np.ones((height, width), bool), colour, SKY)


def _skyline(canvas: Canvas) -> None:
    """Where the street ends: trees and distant houses."""
    rng, view = canvas.rng, canvas.view
    height, width = canvas.labels.shape
    scale = view.scale(_FAR)
    far = np.full((height, width), _FAR, np.float32)
    rough = noise(rng, 1, width, max(2.0, 6 * scale))[0] + 0.5 * noise(rng, 1, width, max(1.5, 1.5 * scale))[0]
    trees = canvas.y > view.horizon - scale * (9 + 4 * rough)
    texture = 1 + 0.35 * noise(rng, height, width, 2.5)
    _fill(canvas, trees, tone((0.24, 0.34, 0.17)) * texture[..., None], VEGETATION, far)
    block = np.clip(canvas.x / (9 * scale), 0, None).astype(np.intp)
    tops = rng.uniform(-6, 18, int(block.max()) + 1)
    shades = rng.uniform(0.35, 0.65, int(block.max()) + 1)
    houses = (canvas.y > view.horizon - scale * tops[block]) & (canvas.y < view.horizon + 2 * scale)
    colour = np.repeat(shades[block].astype(np.float32)[..., None], 3, axis=2)
    _fill(canvas, houses, colour, BUILDING, far)


def _ground(canvas: Canvas, street: Street) -> None:
    rng, view = canvas.rng, canvas.view
    height, width = canvas.labels.shape
    below = canvas.y > view.horizon + view.scale(_FAR) * CAMERA_HEIGHT
    depth = view.focal * CAMERA_HEIGHT / np.maximum(canvas.y - view.horizon, 0.5)
    across = (canvas.x - view.vanishing) * depth / view.focal - street.centre
    side = np.abs(across)
    grain = (1 + 0.10 * noise(rng, height, width, 1.6) + 0.12 * noise(rng, height, width, height / 8))[..., None]

    grass = tone((0.30, 0.38, 0.18)) * (grain + 0.2 * noise(rng, height, width, 3.0)[..., None])
    _fill(canvas, below, grass, VEGETATION, depth)

    slab = tone((0.56, 0.53, 0.50)) * rng.uniform(0.75, 1.1) * grain
    joint = ((across % 0.9) < 0.06) | ((depth % 1.2) < 0.07)
    slab = np.where((joint & (depth < 14))[..., None], 0.85 * slab, slab)
    kerb = side < street.road + 0.22
    slab = np.where(kerb[..., None], 1.18 * slab, slab)
    _fill(canvas, below & (side < street.road + street.pavement), slab, SIDEWALK, depth)

    asphalt = tone((0.37, 0.37, 0.39)) * rng.uniform(0.75, 1.2) * grain
    asphalt *= (1 - 0.15 * np.exp(-(((side - 0.5 * street.road) / 0.5) ** 2)))[..., None]  # worn by wheels
    dashes = (np.abs(across) < 0.09) & (depth % 6.0 < 3.0)
    zebra_at = rng.uniform(9, 16)
    zebra = (np.abs(depth - zebra_at) < 1.6) & (across % 1.0 < 0.5) & (rng.random() < 0.5)
    asphalt = np.where((dashes | zebra)[..., None], tone((0.78, 0.78, 0.74)), asphalt)
    _fill(canvas, below & (side < street.road), asphalt, ROAD, depth)

    if rng.random() < 0.6:  # the shadow of one side of the street
        dark = (across * rng.choice((-1.0, 1.0)) > rng.uniform(0.0, 1.2) * street.road) & below
        canvas.rgb[dark] *= np.float32(rng.uniform(0.55, 0.75))


def _facades(canvas: Canvas, side: int, offset: float) -> None:
    """Houses and hedges along a plane beside the street; the wall at a column has the column's depth."""
    rng, view = canvas.rng, canvas.view
    height, width = canvas.labels.shape
    scale = (canvas.x - view.vanishing) / offset
    seen = scale > view.scale(_FAR)
    scale = np.maximum(scale, view.scale(_FAR))
    depth = view.focal / scale
    up = (view.horizon - canvas.y) / scale + CAMERA_HEIGHT  # metres above the ground
    grain = (1 + 0.09 * noise(rng, height, width, 1.8) + 0.10 * noise(rng, height, width, height / 7))[..., None]
    leaves = (1 + 0.4 * noise(rng, height, width, 2.2) + 0.3 * noise(rng, height, width, 5.0))[..., None]
    begin = rng.uniform(-8, 2)
    while begin < _FAR:
        end = begin + rng.uniform(7, 20)
        inside = seen & (depth >= begin) & (depth < end) & (up > 0)
        kind = rng.random()
        if kind < 0.72:
            tall = rng.uniform(5, 17)
            wall = inside & (up < tall)
            colours = _wall(canvas, depth[wall] - np.float32(begin), up[wall], tall) * grain[wall]
            _fill(canvas, wall, colours * np.float32(0.9 if side > 0 else 1.04), BUILDING, depth)
        elif kind < 0.92:
            tall = rng.uniform(1.2, 4.5)
            hedge = inside & (up < tall * (0.85 + 0.25 * (leaves[..., 0] - 1)))
            green = tone((0.21, 0.33, 0.13)) * rng.uniform(0.8, 1.3)
            _fill(canvas, hedge, np.float32(green) * leaves[hedge], VEGETATION, depth)
        begin = end


def _wall(canvas: Canvas, along: Floats, up: Floats, tall: float) -> Floats:
    """Plaster or brick with rows of windows, and a darker ground floor or a row of doors."""
    rng = canvas.rng
    base = np.clip(np.array(_WALLS[rng.integers(len(_WALLS))]) + rng.uniform(-0.06, 0.06, 3), 0, 1)
    colour = np.broadcast_to(np.float32(base), (*up.shape, 3)).copy()
    pitch, storey = rng.uniform(1.8, 3.2), rng.uniform(2.7, 3.4)
    column, row = (along / pitch) % 1, (up / storey) % 1
    wide = rng.uniform(0.22, 0.34)
    window = (np.abs(column - 0.5) < wide) & (row > 0.32) & (row < 0.82) & (up < tall - 0.5)
    frame = (np.abs(column - 0.5) < wide + 0.06) & (row > 0.27) & (row < 0.87) & (up < tall - 0.5)
    colour[frame] *= 1.18
    glass = rng.uniform(0.18, 0.42)
    colour[window] = tone((0.9 * glass, glass, 1.15 * glass))
    lit = window & ((np.floor(along / pitch) * 3 + np.floor(up / storey) * 5) % 7 < 2)
    colour[lit] = tone(canvas.haze) * 0.75
    if rng.random() < 0.5:
        colour[up < 0.9] *= 0.75
    colour[up > tall - 0.35] *= 0.7
    return colour
