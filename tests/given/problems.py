"""Small random problems that hold the hard cases often, and the files that carry them."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

Ids = NDArray[np.uint32]
SegmentInfo = dict[str, Any]

# Ids out of order, some things and some stuff; the last two are rarely in the truth, so that they are predicted only.
CATEGORIES = [
    {"id": 7, "name": "car", "isthing": 1},
    {"id": 3, "name": "road", "isthing": 0},
    {"id": 90, "name": "person", "isthing": 1},
    {"id": 12, "name": "sky", "isthing": 0},
    {"id": 41, "name": "tram", "isthing": 1},
    {"id": 40, "name": "water", "isthing": 0},
]


@dataclass
class PanopticImage:
    """Ids and segments of both sides; ids of 0 are void."""

    truth: Ids
    truth_segments: list[SegmentInfo]
    prediction: Ids
    prediction_segments: list[SegmentInfo]


@dataclass
class PanopticProblem:
    """Some images over one list of categories."""

    images: list[PanopticImage]
    categories: list[dict[str, Any]] = field(default_factory=lambda: [dict(c) for c in CATEGORIES])


def _box(rng: np.random.Generator, height: int, width: int) -> tuple[slice, slice]:
    y, x = rng.integers(0, height), rng.integers(0, width)
    return slice(y, y + 1 + rng.integers(0, height)), slice(x, x + 1 + rng.integers(0, width))


def _fresh(rng: np.random.Generator, used: set[int]) -> int:
    while True:
        ident = int(rng.integers(1, [20, 300, 2**24][rng.integers(0, 3)]))
        if ident not in used:
            used.add(ident)
            return ident


def _segments(rng: np.random.Generator, ids: Ids, category: Mapping[int, int], crowds: frozenset[int]) -> list[Any]:
    present = [int(i) for i in np.unique(ids) if i]
    infos: list[SegmentInfo] = [{"id": i, "category_id": category[i], "iscrowd": int(i in crowds)} for i in present]
    for info in infos:
        info["area"] = int((ids == info["id"]).sum())
    rng.shuffle(infos)  # the order in the JSON decides which crowd counts
    return infos


def panoptic_image(rng: np.random.Generator) -> PanopticImage:
    """One image: boxes painted over each other, and a prediction that is a damaged copy of the truth."""
    height, width = (int(n) for n in rng.integers(1, 12, 2))
    truth = np.zeros((height, width), np.uint32)
    used: set[int] = set()
    category: dict[int, int] = {}
    usual = [c["id"] for c in CATEGORIES[:4]]
    if rng.random() < 0.9:
        if rng.random() < 0.6:
            truth[:] = _fresh(rng, used)
        for _ in range(rng.integers(0, 7)):
            truth[_box(rng, height, width)] = _fresh(rng, used)
        if rng.random() < 0.5:
            truth[_box(rng, height, width)] = 0
    for i in used:
        category[i] = int(rng.choice(usual) if rng.random() < 0.95 else CATEGORIES[5]["id"])
    if rng.random() < 0.4 and used:  # many segments of few classes, so that crowds of one class meet
        few = int(rng.choice(usual))
        category |= {i: few for i in used if rng.random() < 0.7}
    crowds = frozenset(i for i in used if rng.random() < (0.5 if rng.random() < 0.3 else 0.1))

    prediction = truth.copy()
    theirs = dict(category)
    if rng.random() < 0.08:
        prediction[:] = 0
    for i in [int(i) for i in np.unique(prediction) if i]:
        region = prediction == i
        luck = rng.random()
        new = _fresh(rng, used)
        theirs[new] = theirs[i]
        if luck < 0.15:  # exactly half of the segment, where its pixels are even
            flat = np.flatnonzero(region)
            if len(flat) % 2 == 0:
                other = _fresh(rng, used)
                theirs[other] = int(rng.choice(usual))
                prediction.ravel()[flat[: len(flat) // 2]] = new
                prediction.ravel()[flat[len(flat) // 2 :]] = other if rng.random() < 0.5 else 0
        elif luck < 0.25:
            prediction[region] = 0
        elif luck < 0.6:
            prediction[region] = new
            theirs[new] = int(rng.choice([c["id"] for c in CATEGORIES])) if luck < 0.4 else theirs[i]
    for _ in range(rng.integers(0, 4)):
        new = _fresh(rng, used)
        theirs[new] = int(rng.choice([c["id"] for c in CATEGORIES]))
        prediction[_box(rng, height, width)] = new
    if rng.random() < 0.3:
        prediction[_box(rng, height, width)] = 0
    return PanopticImage(
        truth,
        _segments(rng, truth, category, crowds),
        prediction,
        _segments(rng, prediction, theirs, frozenset()),
    )


def panoptic_problems(most_images: int = 6) -> st.SearchStrategy[PanopticProblem]:
    """Random problems of one to some images."""

    def make(seed: int, images: int) -> PanopticProblem:
        rng = np.random.default_rng(seed)
        return PanopticProblem([panoptic_image(rng) for _ in range(images)])

    return st.builds(make, st.integers(0, 2**32 - 1), st.integers(1, most_images))


def png_bytes(array: NDArray[Any]) -> bytes:
    """A grey, 16-bit or colour PNG."""
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, format="PNG")
    return stream.getvalue()


def colours(ids: NDArray[Any]) -> NDArray[np.uint8]:
    """Ids as R + 256 G + 65536 B."""
    wide = ids.astype(np.uint32)
    return np.stack([wide & 255, wide >> 8 & 255, wide >> 16 & 255], axis=-1).astype(np.uint8)


def write_panoptic(
    folder: Path,
    entries: Sequence[tuple[Any, NDArray[Any], Sequence[SegmentInfo]]],
    categories: Sequence[Mapping[str, Any]] | None,
    name: str = "panoptic",
) -> Path:
    """Write image ids, id maps and segments as JSON and PNGs; returns the JSON."""
    pngs = folder / name
    pngs.mkdir(parents=True, exist_ok=True)
    annotations = []
    for key, ids, segments in entries:
        (pngs / f"{key}.png").write_bytes(png_bytes(colours(ids)))
        annotations.append({"image_id": key, "file_name": f"{key}.png", "segments_info": list(segments)})
    data: dict[str, Any] = {"images": [{"id": key} for key, _, _ in entries], "annotations": annotations}
    if categories is not None:
        data["categories"] = list(categories)
    path = folder / f"{name}.json"
    path.write_text(json.dumps(data))
    return path


def write_problem(problem: PanopticProblem, folder: Path) -> tuple[Path, Path]:
    """The JSONs of truth and prediction."""
    truth = [(k, image.truth, image.truth_segments) for k, image in enumerate(problem.images)]
    prediction = [(k, image.prediction, image.prediction_segments) for k, image in enumerate(problem.images)]
    return (
        write_panoptic(folder / "gt", truth, problem.categories),
        write_panoptic(folder / "pred", prediction, None),
    )
