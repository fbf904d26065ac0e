"""The imaginary models: deterministic, wrong in the ways that they claim, and consistent in themselves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from segeval.scenes import VOID, Scene, make_scene
from segeval.scenes.canvas import CLASSES, PERSON, is_thing
from segeval.scenes.models import ALDO, BERTA, MODELS, Model, Prediction, predict

COUNT = 12
PERFECT = Model("perfect", (0, 0), 0, (), 0, (), -1, 0.0, 0.0, 2)


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [make_scene(index) for index in range(COUNT)]


def same(a: Prediction, b: Prediction) -> bool:
    maps = np.array_equal(a.labels, b.labels) and np.array_equal(a.ids, b.ids) and a.segments == b.segments
    if len(a.guesses) != len(b.guesses):
        return False
    pairs = zip(a.guesses, b.guesses, strict=True)
    return maps and all(
        x.category == y.category and x.score == y.score and np.array_equal(x.mask, y.mask) for x, y in pairs
    )


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_predictions_depend_on_their_arguments_alone(model: Model, scenes: list[Scene]) -> None:
    first = predict(scenes[7], model, 7, seed=3)
    predict(scenes[2], model, 2, seed=3)
    assert same(first, predict(scenes[7], model, 7, seed=3))
    assert not same(first, predict(scenes[7], model, 7, seed=4))


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_maps_and_segments_agree_and_answer_everywhere(model: Model, scenes: list[Scene]) -> None:
    for index, scene in enumerate(scenes):
        answer = predict(scene, model, index)
        assert (answer.ids > 0).all()
        assert not (answer.labels == VOID).any()
        assert [s.id for s in answer.segments] == np.unique(answer.ids).tolist()
        for segment in answer.segments:
            assert set(answer.labels[answer.ids == segment.id].tolist()) == {segment.category}
            assert not segment.iscrowd
        for guess in answer.guesses:
            assert is_thing(guess.category)
            assert 0 < guess.score < 1
            assert guess.score == round(guess.score, model.digits)
            assert guess.mask.shape == scene.labels.shape
            assert guess.mask.any()


def test_no_model_sees_void_or_crowds(scenes: list[Scene]) -> None:
    """Whether a segment is a crowd changes no answer; that void is answered is tested above."""
    for index, scene in enumerate(scenes):
        blind = replace(scene, segments=tuple(replace(s, iscrowd=False) for s in scene.segments))
        for model in MODELS.values():
            assert same(predict(scene, model, index), predict(blind, model, index))


def test_without_errors_the_truth_comes_back(scenes: list[Scene]) -> None:
    for index, scene in enumerate(scenes):
        answer = predict(scene, PERFECT, index)
        known = scene.labels != VOID
        sure = known & ~np.isin(scene.labels, [c for c in CLASSES.ids if is_thing(c)])
        assert (answer.labels[sure] == scene.labels[sure]).all()
        things = [s.id for s in scene.segments if s.isthing]
        assert len(answer.guesses) == len(things)
        for ident, guess in zip(things, answer.guesses, strict=True):
            assert (guess.mask & known == (scene.ids == ident)).all()


def test_aldo_shifts_misses_and_merges(scenes: list[Scene]) -> None:
    shifted = replace(PERFECT, shift=(3, 2))
    answer = predict(scenes[0], shifted, 0)
    stuff = np.isin(scenes[0].labels, [c for c in CLASSES.ids if not is_thing(c)])[:-2, :-3]
    moved = answer.labels[2:, 3:] == scenes[0].labels[:-2, :-3]
    assert moved[stuff].mean() > 0.97
    wide = replace(PERFECT, smallest=ALDO.smallest)
    close = replace(PERFECT, merge=ALDO.merge)
    counts = {m: sum(len(predict(s, m, k).guesses) for k, s in enumerate(scenes)) for m in (PERFECT, wide, close)}
    assert counts[wide] < counts[PERFECT]
    assert counts[close] < counts[PERFECT]


def test_scores_know_something_of_quality_and_tie(scenes: list[Scene]) -> None:
    for model in (ALDO, BERTA):
        scores, overlaps = [], []
        for index, scene in enumerate(scenes):
            for guess in predict(scene, model, index).guesses:
                truths = [scene.ids == s.id for s in scene.segments if s.category == guess.category]
                best = max(((t & guess.mask).sum() / (t | guess.mask).sum() for t in truths), default=0.0)
                scores.append(guess.score)
                overlaps.append(float(best))
        assert len(set(scores)) < len(scores)
        assert np.corrcoef(scores, overlaps)[0, 1] > 0.3


def test_berta_is_better_but_for_persons(scenes: list[Scene]) -> None:
    def agreement(model: Model, persons: bool) -> float:
        hits = union = 0
        for index, scene in enumerate(scenes):
            known = scene.labels != VOID
            answer = predict(scene, model, index).labels
            for c in CLASSES.ids:
                if (c == PERSON) == persons:
                    truth, guess = (scene.labels == c) & known, (answer == c) & known
                    hits, union = hits + (truth & guess).sum(), union + (truth | guess).sum()
        return float(hits / union)

    assert agreement(BERTA, persons=False) > agreement(ALDO, persons=False)
    assert agreement(BERTA, persons=True) < agreement(ALDO, persons=True)
