"""What must not move a score, and what a score can be."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from segeval import PanopticQuality, Result, SemanticIoU, Signature, Taxonomy
from segeval.functional import panoptic_quality
from segeval.samples.pairs import Pair
from segeval.samples.panoptic import from_arrays
from tests.given.problems import PanopticImage, PanopticProblem, panoptic_problems
from tests.laws.test_evidence import THINGS

CLASSES = 6


@st.composite
def label_maps(draw: st.DrawFn) -> list[tuple[NDArray[Any], NDArray[Any]]]:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    maps = []
    for _ in range(draw(st.integers(1, 4))):
        shape = rng.integers(1, 20, 2)
        truth = rng.choice([0, 1, 2, 4, 255], shape, p=[0.4, 0.3, 0.1, 0.1, 0.1])
        maps.append((truth, np.where(rng.random(shape) < 0.6, truth, rng.integers(0, CLASSES, shape))))
    return maps


def semantic(maps: list[tuple[NDArray[Any], NDArray[Any]]], taxonomy: Taxonomy | None = None) -> Result:
    rule = SemanticIoU(taxonomy or Taxonomy.of_count(CLASSES))
    return rule.score(rule.observe([Pair(k, t, p) for k, (t, p) in enumerate(maps)]))


def panoptic(images: list[PanopticImage], taxonomy: Taxonomy = THINGS) -> Result:
    rule = PanopticQuality(taxonomy)
    pairs = [
        Pair(
            k,
            from_arrays(i.truth, i.truth_segments, "truth", k),
            from_arrays(i.prediction, i.prediction_segments, "prediction", k),
        )
        for k, i in enumerate(images)
    ]
    return rule.score(rule.observe(pairs))


def rows(result: Result) -> Any:
    """Values and classes; `repr` makes NaN equal to itself."""
    by_id = sorted((row["id"], repr(dict(row))) for row in result.per_class)
    return {k: repr(v) for k, v in result.values.items()}, by_id


def close(a: float, b: float, ulps: int) -> bool:
    return (math.isnan(a) and math.isnan(b)) or abs(a - b) <= ulps * max(math.ulp(a), math.ulp(b))


@given(maps=label_maps())
def test_semantic_flips_and_layout(maps: list[tuple[NDArray[Any], NDArray[Any]]]) -> None:
    wanted = rows(semantic(maps))
    for turn in (np.flipud, np.fliplr, np.transpose, np.rot90):
        assert rows(semantic([(turn(t), turn(p)) for t, p in maps])) == wanted


@given(maps=label_maps(), order=st.permutations(range(CLASSES)))
def test_semantic_permuted_classes(maps: list[tuple[NDArray[Any], NDArray[Any]]], order: list[int]) -> None:
    result = semantic(maps)
    table = np.array([*order, *[0] * (255 - CLASSES), 255])
    renamed = semantic([(table[t], table[p]) for t, p in maps])
    for old, row in enumerate(result.per_class):
        for name in ("IoU", "Acc", "Dice", "precision", "recall", "pixels"):
            assert repr(renamed.per_class[order[old]][name]) == repr(row[name])
    for name in result.values:
        assert close(renamed[name], result[name], 4)
    # The same classes listed in another order: the same rows, elsewhere.
    listed = semantic(maps, Taxonomy(tuple(order)))
    assert rows(listed)[1] == rows(result)[1] or [r["name"] for r in listed.per_class] != [str(i) for i in order]
    for name in result.values:
        assert close(listed[name], result[name], 4)


@given(maps=label_maps())
def test_semantic_range_and_perfection(maps: list[tuple[NDArray[Any], NDArray[Any]]]) -> None:
    for result in (semantic(maps), semantic([(t, t) for t, _ in maps])):
        for value in (*result.values.values(), *(row[n] for row in result.per_class for n in ("IoU", "Acc", "Dice"))):
            assert math.isnan(value) or 0 <= value <= 1
    if any((t != 255).any() for t, _ in maps):
        assert set(result.values.values()) == {1.0}
        assert {row["IoU"] for row in result.per_class if row["pixels"]} == {1.0}


@given(maps=label_maps(), luck=st.randoms(use_true_random=False))
def test_void_pixels_never_count(maps: list[tuple[NDArray[Any], NDArray[Any]]], luck: Any) -> None:
    scrambled = [(t, np.where(t == 255, luck.randrange(CLASSES), p)) for t, p in maps]
    assert rows(semantic(scrambled)) == rows(semantic(maps))


def relabelled(ids: NDArray[Any], infos: list[Any], table: dict[int, int]) -> tuple[NDArray[Any], list[Any]]:
    new = np.zeros_like(ids)
    for old, fresh in table.items():
        new[ids == old] = fresh
    return new, [info | {"id": table[info["id"]]} for info in infos]


@given(problem=panoptic_problems(), seed=st.integers(0, 2**32 - 1))
def test_panoptic_ids_flips_and_order(problem: PanopticProblem, seed: int) -> None:
    rng = np.random.default_rng(seed)
    wanted = rows(panoptic(problem.images))
    other = []
    for image in problem.images:
        tables = [
            dict(zip([i["id"] for i in infos], rng.choice(2**20, len(infos), replace=False).tolist(), strict=True))
            for infos in (image.truth_segments, image.prediction_segments)
        ]
        tables = [{old: new + 1 for old, new in table.items()} for table in tables]
        truth, truth_infos = relabelled(image.truth, image.truth_segments, tables[0])
        prediction, infos = relabelled(image.prediction, image.prediction_segments, tables[1])
        rng.shuffle(infos)  # type: ignore[arg-type]
        other.append(PanopticImage(truth, truth_infos, prediction, infos))
    assert rows(panoptic(other)) == wanted
    for turn in (np.flipud, np.fliplr, np.transpose, np.rot90):
        turned = [
            PanopticImage(turn(i.truth), i.truth_segments, turn(i.prediction), i.prediction_segments)
            for i in problem.images
        ]
        assert rows(panoptic(turned)) == wanted
    assert rows(panoptic(problem.images[::-1])) == wanted


@given(problem=panoptic_problems(), order=st.permutations(range(len(THINGS))))
def test_panoptic_permuted_classes(problem: PanopticProblem, order: list[int]) -> None:
    assert THINGS.things is not None
    listed = Taxonomy(
        tuple(THINGS.ids[k] for k in order),
        tuple(THINGS.names[k] for k in order),
        tuple(THINGS.things[k] for k in order),
    )
    mine, theirs = panoptic(problem.images), panoptic(problem.images, listed)
    assert rows(mine)[1] == rows(theirs)[1]
    for name in mine.values:
        assert close(mine[name], theirs[name], 4)


@given(problem=panoptic_problems())
def test_panoptic_range_product_and_perfection(problem: PanopticProblem) -> None:
    perfect = []
    for image in problem.images:
        # Only the last crowd of a class counts, as officially, so an earlier one that is predicted is an error.
        crowd_of = {s["category_id"]: s["id"] for s in image.truth_segments if s["iscrowd"]}
        infos = [s | {"iscrowd": int(crowd_of.get(s["category_id"]) == s["id"])} for s in image.truth_segments]
        perfect.append(PanopticImage(image.truth, infos, image.truth, infos))
    for result in (panoptic(problem.images), panoptic(perfect)):
        for value in (*result.values.values(), *(row[n] for row in result.per_class for n in ("PQ", "SQ", "RQ"))):
            assert math.isnan(value) or 0 <= value <= 1
        for row in result.per_class:
            assert math.isnan(row["PQ"]) or abs(row["PQ"] - row["SQ"] * row["RQ"]) <= 2 * math.ulp(row["PQ"])
    assert all(v == 1.0 or math.isnan(v) for v in result.values.values())
    assert all(row["fp"] == row["fn"] == 0 for row in result.per_class)
    targets = sum(not s["iscrowd"] for i in perfect for s in i.truth_segments)
    assert sum(row["tp"] for row in result.per_class) == targets


@given(problem=panoptic_problems(most_images=1))
def test_panoptic_forms_of_one_image(problem: PanopticProblem) -> None:
    """Ids, colours, colours with transparency, and other integer types are one and the same."""
    image = problem.images[0]
    wanted = rows(panoptic([image]))

    def forms(ids: NDArray[Any]) -> list[NDArray[Any]]:
        wide = ids.astype(np.int64)
        rgb = np.stack([wide & 255, wide >> 8 & 255, wide >> 16], -1).astype(np.uint8)
        alpha = np.concatenate([rgb, np.full((*ids.shape, 1), 9, np.uint8)], -1)
        return [wide, ids.astype(">u4"), np.asfortranarray(ids), rgb, alpha, rgb[::-1][::-1]]

    for truth in forms(image.truth):
        for prediction in forms(image.prediction)[::2]:
            result = panoptic_quality(
                truth=(truth, image.truth_segments),
                prediction=(prediction, image.prediction_segments),
                classes=THINGS,
            )
            assert rows(result) == wanted


@given(
    metric=st.text(),
    choices=st.lists(st.tuples(st.text(), st.text()), unique_by=lambda pair: pair[0], max_size=5),
)
def test_signatures_parse_back(metric: str, choices: list[tuple[str, str]]) -> None:
    signature = Signature(metric, tuple(choices))
    text = signature.format()
    assert Signature.parse(text) == signature
    assert "\n" not in text
    assert signature.difference(Signature.parse(text)) == ()


@given(maps=label_maps())
def test_real_signatures_parse_back(maps: list[tuple[NDArray[Any], NDArray[Any]]]) -> None:
    signature = semantic(maps).signature
    assert Signature.parse(signature.format()) == signature
