"""Scenes are a function of seed and index, and their label map, id map and segments tell the same story."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from segeval.errors import SegevalError
from segeval.scenes import CLASSES, VOID, Scene, make_scene

COUNT = 16


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [make_scene(index) for index in range(COUNT)]


def same(a: Scene, b: Scene) -> bool:
    pairs = ((a.image, b.image), (a.labels, b.labels), (a.ids, b.ids))
    return all(np.array_equal(x, y) for x, y in pairs) and a.segments == b.segments


def test_a_scene_depends_on_seed_and_index_alone(scenes: list[Scene]) -> None:
    for index in (11, 3):  # another order, and without those in between
        assert same(make_scene(index), scenes[index])
    assert not same(make_scene(3, seed=1), scenes[3])
    assert not same(make_scene(4), scenes[3])


@pytest.mark.parametrize("size", [(192, 256), (64, 64), (16, 16), (37, 300), (240, 90)])
def test_labels_ids_and_segments_agree_at_any_size(size: tuple[int, int]) -> None:
    for index in range(8):
        scene = make_scene(index, seed=5, height=size[0], width=size[1])
        assert scene.image.shape == (*size, 3)
        assert (scene.image.dtype, scene.labels.dtype, scene.ids.dtype) == (np.uint8, np.uint8, np.int32)
        assert scene.labels.shape == scene.ids.shape == size
        assert ((scene.ids == 0) == (scene.labels == VOID)).all()
        listed = [segment.id for segment in scene.segments]
        assert listed == sorted(set(listed)) == np.unique(scene.ids[scene.ids > 0]).tolist()
        assert CLASSES.things is not None
        for segment in scene.segments:
            assert 0 < segment.id < 2**24
            assert set(scene.labels[scene.ids == segment.id].tolist()) == {segment.category}
            assert segment.isthing == CLASSES.things[segment.category]
            assert segment.isthing or not segment.iscrowd
        stuff = [segment.category for segment in scene.segments if not segment.isthing]
        assert len(stuff) == len(set(stuff))


def test_the_series_holds_what_scorers_must_handle(scenes: list[Scene]) -> None:
    assert all((scene.labels == VOID).any() for scene in scenes)
    assert all(len(np.unique(scene.image)) > 100 for scene in scenes)
    crowds = [any(s.iscrowd for s in scene.segments) for scene in scenes]
    assert 2 <= sum(crowds) < COUNT
    empty = [not any(s.isthing for s in scene.segments) for scene in scenes]
    assert [index for index in range(COUNT) if empty[index]] == [5, 13]
    seen = {s.category for scene in scenes for s in scene.segments}
    assert seen == set(CLASSES.ids)
    areas = [np.count_nonzero(scene.ids == s.id) for scene in scenes for s in scene.segments if s.isthing]
    assert min(areas) < 32**2 < max(areas)


def test_near_things_hide_far_ones(scenes: list[Scene]) -> None:
    """Some two instances of a class touch: that is what a model can merge."""
    touching = 0
    for scene in scenes:
        things = {s.id: s.category for s in scene.segments if s.isthing and not s.iscrowd}
        a, b = scene.ids[:, :-1], scene.ids[:, 1:]
        pairs = {(x, y) for x, y in zip(a[a != b].tolist(), b[a != b].tolist(), strict=True)}
        touching += sum(x in things and things[x] == things.get(y) for x, y in pairs)
    assert touching >= 5


def test_classes_overlap_in_colour(scenes: list[Scene]) -> None:
    """No class is told by its colour alone: each one's mean lies within the spread of some other."""
    pixels = {c: np.concatenate([s.image[s.labels == c] for s in scenes]).astype(float) for c in CLASSES.ids}
    means = {c: p.mean(axis=0) for c, p in pixels.items()}
    spreads = {c: p.std(axis=0) for c, p in pixels.items()}
    for c in CLASSES.ids:
        assert any((abs(means[c] - means[d]) < 2 * spreads[d]).all() for d in CLASSES.ids if d != c), CLASSES.names[c]


@pytest.mark.parametrize("wrong", [{"index": -1}, {"seed": -1}, {"height": 15}, {"width": 0}])
def test_impossible_scenes_are_refused_in_one_line(wrong: dict[str, int]) -> None:
    with pytest.raises(SegevalError, match=r"does not exist; count from 0|too small for a scene; give at least 16"):
        make_scene(**{"index": 0, **wrong})


def test_making_scenes_loads_no_compiler() -> None:
    code = "import sys; from segeval.scenes import make_scene; make_scene(0); print('numba' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
