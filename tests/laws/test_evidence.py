"""Tallies add exactly: order, shards, threads, slices and storage change nothing."""

from __future__ import annotations

import random
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segeval import Accumulator, PanopticQuality, Result, SegevalError, SemanticIoU, Tally, Taxonomy, evaluate, score
from segeval.evidence.tally import merge
from segeval.samples.pairs import Key, Pair
from segeval.samples.panoptic import from_arrays
from segeval.scoring import evaluation
from tests.given.problems import CATEGORIES, PanopticProblem, panoptic_problems, png_bytes, write_problem

THINGS = Taxonomy(
    tuple(c["id"] for c in CATEGORIES),
    tuple(c["name"] for c in CATEGORIES),
    tuple(bool(c["isthing"]) for c in CATEGORIES),
)


@dataclass
class Memory:
    """A source of pairs that are at hand."""

    pairs: dict[Key, Pair]
    taxonomy: Taxonomy | None = None
    cautions: tuple[Any, ...] = ()

    def keys(self) -> list[Key]:
        return list(self.pairs)

    def load(self, key: Key) -> Pair:
        return self.pairs[key]


@st.composite
def keys(draw: st.DrawFn, count: int) -> list[Key]:
    """Numbers and names, also names that look like numbers."""
    one = st.one_of(st.integers(-5, 10**12), st.sampled_from(["1", "10", "9", "a", "ä", "z/1"]), st.text(max_size=4))
    listed: list[Key] = draw(st.lists(one, min_size=count, max_size=count, unique_by=lambda k: (type(k), k)))
    return listed


@st.composite
def data_sets(draw: st.DrawFn) -> tuple[Any, list[Pair]]:
    """A rule and the pairs of a small data set, semantic or panoptic."""
    if draw(st.booleans()):
        problem: PanopticProblem = draw(panoptic_problems(most_images=8))
        names = draw(keys(len(problem.images)))
        pairs = [
            Pair(
                key,
                from_arrays(image.truth, image.truth_segments, "truth", key),
                from_arrays(image.prediction, image.prediction_segments, "prediction", key),
            )
            for key, image in zip(names, problem.images, strict=True)
        ]
        return PanopticQuality(THINGS), pairs
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    names = draw(keys(draw(st.integers(1, 8))))
    pairs = []
    for key in names:
        shape = rng.integers(1, 9, 2)
        truth = rng.choice([0, 1, 2, 4, 255], shape).astype(np.uint8)
        pairs.append(Pair(key, truth, np.where(rng.random(shape) < 0.6, truth, rng.choice([0, 2, 3, 255], shape))))
    return SemanticIoU(Taxonomy.of_count(5) if draw(st.booleans()) else None), pairs


def figures(result: Result) -> Any:
    """Everything that a result says, comparable by `==` (undefined is None)."""
    return result.to_json(), None if result.confusion is None else result.confusion.tolist()


@given(data=data_sets(), luck=st.randoms(use_true_random=False))
def test_order_and_shards(data: tuple[Any, list[Pair]], luck: random.Random) -> None:
    rule, pairs = data
    whole = rule.observe(pairs)
    shuffled = pairs[:]
    luck.shuffle(shuffled)
    assert rule.observe(shuffled) == whole
    cut = sorted(luck.randrange(len(pairs) + 1) for _ in range(2))
    shards = [rule.observe(part) for part in (shuffled[: cut[0]], shuffled[cut[0] : cut[1]], shuffled[cut[1] :])]
    a, b, c = shards
    assert merge(shards) == whole
    assert (a + b) + c == a + (b + c) == c + (b + a) == whole
    assert a + b == b + a
    assert figures(rule.score(a + c + b)) == figures(rule.score(whole))
    assert rule.per_image(merge([c, a, b])) == rule.per_image(whole) or any(
        row[k] != row[k]
        for row in rule.per_image(whole)
        for k in row  # NaN is not itself
    )


@given(data=data_sets())
def test_zero(data: tuple[Any, list[Pair]]) -> None:
    rule, pairs = data
    whole = rule.observe(pairs)
    nothing = rule.observe([])
    assert whole + nothing == nothing + whole == whole
    assert len(nothing) == 0


@given(data=data_sets(), luck=st.randoms(use_true_random=False))
def test_collapse(data: tuple[Any, list[Pair]], luck: random.Random) -> None:
    rule, pairs = data
    whole = rule.observe(pairs)
    folded = whole.collapse()
    assert len(folded) == len(whole)
    assert folded.digest == whole.digest
    assert dict(figures_without_images(rule.score(folded))) == dict(figures_without_images(rule.score(whole)))
    at = luck.randrange(len(pairs) + 1)
    left, right = rule.observe(pairs[:at]), rule.observe(pairs[at:])
    assert left.collapse() + right.collapse() == right.collapse() + left.collapse() == folded
    assert (left.collapse() + right).collapse() == folded
    assert folded.collapse() == folded


def figures_without_images(result: Result) -> Any:
    """A folded tally no longer knows which images were all void, so warnings stay out."""
    for name, value in result.values.items():
        yield name, repr(value)
    yield "signature", result.signature
    yield "classes", [tuple(map(repr, row.values())) for row in result.per_class]


@given(data=data_sets(), luck=st.randoms(use_true_random=False))
def test_take(data: tuple[Any, list[Pair]], luck: random.Random) -> None:
    rule, pairs = data
    whole = rule.observe(pairs)
    some = luck.sample(pairs, luck.randrange(len(pairs) + 1))
    rest = [pair for pair in pairs if pair not in some]
    part = whole.take([pair.key for pair in some])
    assert part == rule.observe(some)
    assert part + whole.take([pair.key for pair in rest]) == whole
    with pytest.raises(SegevalError, match="no image 'absent' in this run"):
        whole.take(["absent"])


@given(data=data_sets())
def test_identical_duplicates_are_dropped_and_others_refused(data: tuple[Any, list[Pair]]) -> None:
    rule, pairs = data
    whole = rule.observe(pairs)
    twice = whole + rule.observe(pairs[:1])
    assert twice == whole
    assert twice.duplicates == 1
    assert figures(rule.score(twice))[0].count("duplicates-dropped") == 1
    truth = pairs[0].truth
    other = truth[:1, :1] if rule.task == "semantic" else from_arrays(truth.pixels * 0, [], "truth", "k")
    if rule.task == "semantic" and truth.shape == (1, 1):
        return
    if rule.task == "panoptic" and not truth.pixels.any():
        return
    changed = pairs[0]._replace(truth=other, prediction=other)
    with pytest.raises(SegevalError, match="was counted twice with different content"):
        whole + rule.observe([changed])


@given(data=data_sets())
def test_unkeyed_refuse_to_merge(data: tuple[Any, list[Pair]]) -> None:
    rule, pairs = data
    with pytest.raises(SegevalError, match="images without keys can't be merged"):
        rule.observe(pairs).unkeyed() + rule.observe(pairs)


@given(data=data_sets())
@settings(max_examples=30)
def test_saved_and_loaded(data: tuple[Any, list[Pair]]) -> None:
    rule, pairs = data
    tally = rule.observe(pairs)
    with tempfile.TemporaryDirectory() as folder:
        for kept in (tally, tally.collapse(), rule.observe([]), tally.unkeyed()):
            again = Tally.load(kept.save(Path(folder, "tally.npz")))
            assert again == kept
            assert again.keyed == kept.keyed
            assert {n: t[k].dtype for n, t in again.tables.items() for k in t.columns()} == {
                n: t[k].dtype for n, t in kept.tables.items() for k in t.columns()
            }
        result = rule.score(tally)
        loaded = Result.load(result.save(folder))
        assert figures(loaded) == figures(result)
        assert loaded.tally == tally
        assert loaded.signature == result.signature

        assert figures(loaded.metric.score(loaded.tally)) == figures(result)


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("task", ["semantic", "panoptic"])
def test_workers_and_chunks(task: str, workers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    pairs: dict[Key, Pair] = {}
    rule: Any = SemanticIoU(Taxonomy.of_count(4))
    if task == "panoptic":
        rule = PanopticQuality(THINGS)
    for key in rng.permutation(90).tolist():
        if task == "semantic":
            pairs[key] = Pair(key, rng.integers(0, 4, (9, 7)), rng.integers(0, 4, (9, 7)))
        else:
            from tests.given.problems import panoptic_image

            image = panoptic_image(rng)
            pairs[key] = Pair(
                key,
                from_arrays(image.truth, image.truth_segments, "truth", key),
                from_arrays(image.prediction, image.prediction_segments, "prediction", key),
            )
    whole = rule.observe(pairs.values())
    for chunk in (1, 7, 32, 1000):
        monkeypatch.setattr(evaluation, "CHUNK", chunk)
        tally = evaluate(Memory(pairs), rule, workers=workers)
        assert tally == whole
        assert figures(rule.score(tally)) == figures(rule.score(whole))


@given(problem=panoptic_problems())
@settings(max_examples=25)
def test_accumulator_is_folder_scoring(problem: PanopticProblem) -> None:
    seen = Accumulator("panoptic", classes=THINGS)
    semantic = Accumulator("semantic", classes=THINGS, void=(0,))
    lookup = [{0: 0} | {s["id"]: s["category_id"] for s in g} for g in [i.truth_segments for i in problem.images]]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for k, image in enumerate(problem.images):
            seen.update(
                prediction=(image.prediction, image.prediction_segments),
                truth=(image.truth, image.truth_segments),
                key=k,
            )
            labels = np.vectorize(lookup[k].get)(image.truth).astype(np.uint8)
            (folder / "labels").mkdir(exist_ok=True)
            (folder / "labels" / f"{k}.png").write_bytes(png_bytes(labels))
            semantic.update(prediction=labels[::-1], truth=labels, key=str(k))
            (folder / "flipped").mkdir(exist_ok=True)
            (folder / "flipped" / f"{k}.png").write_bytes(png_bytes(labels[::-1]))
        truth, prediction = write_problem(problem, folder)
        from_files = score(prediction, truth)
        labels_too = score(folder / "flipped", folder / "labels", classes=THINGS, void=(0,))
    ours = seen.compute()
    assert dict(figures_without_images(ours)) == dict(figures_without_images(from_files))
    assert seen.tally == from_files.tally
    assert semantic.tally == labels_too.tally
    assert figures(semantic.compute()) == figures(labels_too)
