"""What synthetic street scenes are painted on: a camera, noise, and layers that hide what lies behind them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segeval.samples.taxonomy import Taxonomy

VOID = 255
CAMERA_HEIGHT = 1.5  # metres above the road

CLASSES = Taxonomy(
    ids=(0, 1, 2, 3, 4, 5, 6, 7, 8, 9),
    names=("road", "sidewalk", "building", "pole", "vegetation", "sky", "person", "car", "bicycle", "sign"),
    things=(False, False, False, False, False, False, True, True, True, True),
    colours=(
        *((128, 64, 128), (244, 35, 232), (90, 90, 90), (190, 153, 153), (107, 142, 35)),
        *((70, 130, 180), (220, 20, 60), (0, 0, 190), (119, 60, 32), (220, 220, 0)),
    ),
)
ROAD, SIDEWALK, BUILDING, POLE, VEGETATION, SKY, PERSON, CAR, BICYCLE, SIGN = CLASSES.ids

Floats = NDArray[np.floating[Any]]
Mask = NDArray[np.bool_]
# From metres to the right of the foot, metres above it, and metres a pixel: where the shape is, and its colours.
Shape = Callable[[Floats, Floats, float], tuple[Mask, Floats]]


@dataclass(frozen=True)
class Segment:
    """One region of a scene: its id in the id map, its class, whether that is a thing, and whether it is a group."""

    id: int
    category: int
    isthing: bool
    iscrowd: bool = False


@dataclass(frozen=True)
class View:
    """A camera that looks along the street: a ground point at depth z and offset x is at
    (`vanishing` + focal x / z, `horizon` + focal * CAMERA_HEIGHT / z) pixels."""

    horizon: float
    vanishing: float
    focal: float

    def scale(self, depth: float) -> float:
        """Pixels a metre at a depth in metres."""
        return self.focal / depth


@dataclass
class Canvas:
    """Colours, classes and segment ids, painted from far to near.

    `x` and `y` are the pixels' coordinates, displaced by noise: whatever is drawn by them has a ragged border.
    """

    rgb: Floats
    labels: NDArray[np.uint8]
    ids: NDArray[np.int32]
    x: Floats
    y: Floats
    view: View
    rng: np.random.Generator
    haze: tuple[float, float, float]
    segments: dict[int, Segment] = field(default_factory=dict)

    def segment(self, category: int, *, iscrowd: bool = False) -> int:
        """The id of a class's one stuff segment, or of a new instance."""
        if category == VOID:
            return 0
        thing = is_thing(category)
        number = 0
        while (found := segment_id(category, number)) in self.segments:
            if not thing:
                return found
            number += 1
        self.segments[found] = Segment(found, category, thing, iscrowd)
        return found

    def paint(self, where: tuple[slice, slice], mask: Mask, colours: Floats, category: int, segment: int) -> None:
        """Cover what was there; `colours` are one, or one for each pixel of the mask."""
        self.rgb[where][mask] = colours
        self.labels[where][mask] = category
        self.ids[where][mask] = segment

    def place(
        self,
        shape: Shape,
        size: tuple[float, float],
        at: tuple[float, float],
        category: int,
        segment: int | None = None,
        *,
        shadow: bool = True,
    ) -> int:
        """Stand a shape on the ground.

        Parameters
        ----------
        shape
            What to draw.
        size
            Its largest width and height in metres.
        at
            Its place: metres to the right of the camera, and metres away.
        category
            Its class, or VOID.
        segment
            The segment that it belongs to; a new one if None.
        """
        scale = self.view.scale(at[1])
        foot_x, foot_y = self.view.vanishing + at[0] * scale, self.view.horizon + CAMERA_HEIGHT * scale
        if segment is None:
            segment = self.segment(category)
        if shadow:
            self._shadow(foot_x, foot_y, size[0] * scale)
        reach = size[0] * scale / 2 + 2
        where = self._window(foot_x - reach, foot_x + reach, foot_y - size[1] * scale - 2, foot_y + 2)
        if where is None:
            return segment
        u, v = (self.x[where] - foot_x) / scale, (foot_y - self.y[where]) / scale
        mask, colour = shape(u, v, 1 / scale)
        mist = 1 - 1 / (1 + at[1] / 110)
        self.paint(
            where,
            mask,
            colour[mask] * np.float32(1 - mist) + tone(self.haze) * np.float32(mist),
            category,
            segment,
        )
        return segment

    def _window(self, left: float, right: float, top: float, bottom: float) -> tuple[slice, slice] | None:
        height, width = self.labels.shape
        low, high = max(0, int(left)), min(width, int(right) + 1)
        first, last = max(0, int(top)), min(height, int(bottom) + 1)
        return (slice(first, last), slice(low, high)) if low < high and first < last else None

    def _shadow(self, foot_x: float, foot_y: float, breadth: float) -> None:
        tall = max(1.0, 0.16 * breadth)
        where = self._window(foot_x - breadth, foot_x + breadth, foot_y - tall, foot_y + tall)
        if where is not None:
            distance = ((self.x[where] - foot_x) / (0.62 * breadth)) ** 2 + ((self.y[where] - foot_y) / tall) ** 2
            self.rgb[where] *= (1 - 0.5 * np.clip(1.2 - distance, 0, 1))[..., None]


def tone(colour: tuple[float, ...]) -> Floats:
    """A colour as an array."""
    return np.array(colour, np.float32)


def is_thing(category: int) -> bool:
    """Whether a class of the scenes is countable."""
    return category != VOID and CLASSES.things is not None and CLASSES.things[category]


def segment_id(category: int, number: int) -> int:
    """An id below 2^24 whose colour is a shade of the class's colour: R + 256 G + 65536 B."""
    red, green, blue = CLASSES.colours[category]
    if number:
        # Multiplying by odd numbers goes round all shades of a range before it comes back to the first; no other
        # class has its colour in the range.
        red = (red & ~127) + ((red + 75 * number) & 127)
        green = (green & ~63) + ((green + 23 * number) & 63)
        blue = (blue & ~63) + ((blue + 27 * (number + number // 128)) & 63)
    return red + 256 * green + 65536 * blue


def noise(rng: np.random.Generator, height: int, width: int, cell: float) -> Floats:
    """Smooth noise between -1 and 1: random values on a grid, interpolated between its nodes."""
    rows, columns = np.arange(height) / cell, np.arange(width) / cell
    grid = rng.uniform(-1, 1, (int(height / cell) + 2, int(width / cell) + 2)).astype(np.float32)
    top, left = rows.astype(np.intp), columns.astype(np.intp)
    down, across = (rows - top).astype(np.float32)[:, None], (columns - left).astype(np.float32)
    tall = grid[top] * (1 - down) + grid[top + 1] * down
    return np.asarray(tall[:, left] * (1 - across) + tall[:, left + 1] * across, np.float32)
