"""What Mask R-CNN and Panoptic FPN promise, on toy sizes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from segeval_baselines.cost import bench, cost
from segeval_baselines.detection.assignment import BACKGROUND, NEITHER, assign, sample
from segeval_baselines.detection.rpn import RPN, ProposalRule
from segeval_baselines.detection.targets import DetectionTarget
from segeval_baselines.layers.fpn import FPN, FrozenNorm, PyramidBackbone, freeze_norms, padded
from segeval_baselines.networks.mask_rcnn import MaskRCNN
from segeval_baselines.networks.panoptic_fpn import PanopticFPN, semantic_term
from segeval_baselines.prediction.object_inference import ObjectPredictor
from segeval_baselines.recipes import Recipe
from segeval_baselines.training.object_course import semantic_channels
from segeval_baselines.training.validation import validate_instances, validate_panoptic
from segeval_baselines.zoo import build, outputs
from torch import nn
from torch.nn import functional as F

from segeval.errors import SegevalError
from segeval.results.result import Result
from segeval.samples.taxonomy import Taxonomy
from tests.baselines.toy_objects import SMALL, SMALL_PANOPTIC, STUFF, THINGS, TOYS, Listed, tensors_of, toy_sample

MEAN = STD = (0.5, 0.5, 0.5)  # of images between -1 and 1


def mask_rcnn(**options: Any) -> MaskRCNN:
    return MaskRCNN(THINGS, **{**SMALL, **options})


def panoptic_fpn(**options: Any) -> PanopticFPN:
    return PanopticFPN(THINGS, STUFF, **{**SMALL_PANOPTIC, **options})


def second_version(**options: Any) -> MaskRCNN:
    heads = {"hidden": 32, "mask_convolutions": 1, "convolutional": True}
    return mask_rcnn(pyramid_norm=True, rpn_convolutions=2, heads=heads, **options)


NETWORKS = {"mask_rcnn": mask_rcnn, "second_version": second_version, "panoptic_fpn": panoptic_fpn}


def terms_of(network: nn.Module, samples: list[Any]) -> dict[str, torch.Tensor]:
    images, targets = tensors_of(samples)
    more: tuple[Any, ...] = ()
    if isinstance(network, PanopticFPN):
        table = semantic_channels(TOYS.things)
        maps = [np.full(s.image.shape[:2], 255, np.uint8) if s.semantic is None else s.semantic for s in samples]
        more = (table[torch.from_numpy(np.stack(maps)).long()],)
    terms: dict[str, torch.Tensor] = network(images, targets, *more)
    return terms


@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_reach_every_parameter(name: str) -> None:
    network = NETWORKS[name]().train()
    terms = terms_of(network, [toy_sample(k) for k in range(4)])
    assert {"class", "box", "mask", "objectness", "rpn_box", "total"} <= terms.keys()
    terms["total"].backward()
    idle = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert not idle


@pytest.mark.parametrize("name", NETWORKS)
def test_eval_mode_is_deterministic_and_the_order_of_a_batch_does_not_matter(name: str) -> None:
    network = NETWORKS[name]().eval()
    network.roi_heads.rule = network.roi_heads.rule.__class__(**{**SMALL["regions"], "score": 0.01})
    images, _ = tensors_of([toy_sample(k, (60, 76)) for k in range(3)])
    one, two, turned = network(images), network(images), network(images.flip(0))

    def flat(found: Any) -> list[torch.Tensor]:
        return [*found[0], found[1]] if name == "panoptic_fpn" else list(found)

    assert any(len(flat(found)[0]) for found in one)
    for a, b, c in zip(one, two, reversed(turned), strict=True):
        assert all(torch.equal(x, y) for x, y in zip(flat(a), flat(b), strict=True))
        for x, y in zip(flat(a), flat(c), strict=True):
            torch.testing.assert_close(x, y)


@pytest.mark.parametrize("name", NETWORKS)
def test_images_without_objects_and_stuff_give_zero_terms_and_gradients(name: str) -> None:
    network = NETWORKS[name]().train()
    terms = terms_of(network, [toy_sample(k, objects=0, stuff=False) for k in range(2)])
    zero = ["box", "mask", "rpn_box", *(["semantic"] if name == "panoptic_fpn" else [])]
    assert [float(terms[term].detach()) for term in zero] == [0.0] * len(zero)
    assert torch.isfinite(terms["total"])
    terms["total"].backward()
    assert [n for n, p in network.named_parameters() if p.grad is None] == []


def test_without_any_region_all_terms_of_regions_are_zero() -> None:
    network = mask_rcnn().train()
    empty = tensors_of([toy_sample(objects=0)])[1]
    maps = network.maps(torch.randn(2, 3, 64, 64))
    regions = network.roi_heads.regions([torch.zeros(0, 4)], empty)
    logits, deltas = network.roi_heads.boxes(maps, regions.boxes, regions.images)
    masks = network.roi_heads.masks(maps, regions.boxes, regions.images)
    terms = network.terms(
        class_logits=logits,
        labels=regions.labels,
        box_deltas=deltas[:, 4:],
        box_targets=regions.deltas,
        mask_logits=masks,
        mask_labels=regions.labels,
        mask_targets=regions.masks,
    )
    assert {name: float(value.detach()) for name, value in terms.items()} == {
        "class": 0,
        "box": 0,
        "mask": 0,
        "total": 0,
    }
    terms["total"].backward()
    heads = [p for n, p in network.named_parameters() if n.startswith("roi_heads")]
    assert all(p.grad is not None and not p.grad.any() for p in heads)
    network.eval()
    found = network.roi_heads.detect(maps, [torch.zeros(0, 4)] * 2, (64, 64))
    assert [d.masks.shape for d in found] == [(0, 28, 28)] * 2


@pytest.mark.parametrize("name", ["mask_rcnn", "panoptic_fpn"])
def test_one_pixel_objects_and_more_objects_than_the_cap_train_and_predict(name: str) -> None:
    network = NETWORKS[name](regions={**SMALL["regions"], "sampled": 16, "score": 0.0, "detections": 7}).train()
    samples = [toy_sample(0, objects=1), toy_sample(1, objects=60)]
    masks = np.zeros_like(samples[0].masks)
    masks[0, 20, 30] = True
    samples[0] = samples[0]._replace(masks=masks)
    terms = terms_of(network, samples)
    assert torch.isfinite(terms["total"])
    assert terms["rpn_box"].detach() > 0  # even the pixel has an anchor
    terms["total"].backward()
    assert all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None)
    with torch.no_grad():
        found = network.eval()(tensors_of(samples)[0])
    counts = [len((f.things if name == "panoptic_fpn" else f).scores) for f in found]
    assert counts == [7, 7]


def test_a_step_is_decided_by_torchs_seed() -> None:
    network, samples = mask_rcnn(norm="frozen").train(), [toy_sample(k, objects=6) for k in range(2)]
    found = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        found.append(float(terms_of(network, samples)["total"].detach()))
    assert found[0] == found[1] != found[2]


def test_boxes_are_assigned_by_overlap() -> None:
    objects = torch.tensor([[0.0, 0, 10, 10], [20, 20, 30, 30], [50, 50, 50, 50], [70, 70, 71, 71]])
    boxes = torch.tensor(
        [[0.0, 0, 10, 9], [0, 0, 10, 5], [0, 0, 4, 10], [21, 20, 31, 30], [40, 40, 44, 44], [60, 60, 80, 80]]
    )
    found = assign(boxes, objects, 0.3, 0.7)
    assert found.tolist() == [0, NEITHER, NEITHER, 1, BACKGROUND, BACKGROUND]
    # The best box of each object is its own, but an object without area claims nothing.
    assert assign(boxes, objects, 0.3, 0.85, rescue=True).tolist() == [0, NEITHER, NEITHER, 1, BACKGROUND, 3]
    assert assign(boxes, objects[:0], 0.3, 0.7).tolist() == [BACKGROUND] * 6


def test_samples_have_at_most_their_share_of_objects() -> None:
    assigned = torch.tensor([0] * 30 + [BACKGROUND] * 50 + [NEITHER] * 20)
    chosen = sample(assigned, 40, 0.25)
    assert int(chosen[:30].sum()) == 10
    assert int(chosen[30:80].sum()) == 30
    assert not chosen[80:].any()
    few = sample(assigned[28:], 40, 0.25)
    assert int(few[:2].sum()) == 2
    assert int(few[2:52].sum()) == 38
    assert int(sample(assigned[:30], 40, 0.25).sum()) == 10  # no background to fill up with
    assert not torch.equal(chosen, sample(assigned, 40, 0.25))


def test_proposals_are_inside_the_image_and_best_first() -> None:
    rpn = RPN(4, ((8,), (16,)), (0.5, 1.0, 2.0), ProposalRule(before=(50, 50), after=(20, 9))).eval()
    maps = [torch.randn(2, 4, 16, 16), torch.randn(2, 4, 8, 8)]
    anchors = rpn.anchors(maps, (64, 64))
    assert [len(a) for a in anchors] == [16 * 16 * 3, 8 * 8 * 3]
    scores = [torch.randn(2, len(a)) for a in anchors]
    deltas = [0.1 * torch.randn(2, len(a), 4) for a in anchors]
    deltas[0][0, scores[0][0].argmax()] = 0
    scores[0][0, scores[0][0].argmax()] = 99.0
    for boxes in rpn.proposals(anchors, scores, deltas, (50, 60)):
        assert boxes.shape == (9, 4)
        assert (boxes >= 0).all()
        assert (boxes[:, 2] <= 60).all()
        assert (boxes[:, 3] <= 50).all()
    best = anchors[0][scores[0][0].argmax()].clamp_min(0)
    found = rpn.proposals(anchors, scores, deltas, (50, 60))[0][0]
    assert torch.equal(found, torch.minimum(best, torch.tensor([60.0, 50, 60, 50])))


def test_the_pyramid_adds_coarse_to_fine() -> None:
    fpn = FPN((3, 5), 4)
    fine, coarse = torch.randn(1, 3, 7, 9), torch.randn(1, 5, 4, 5)
    one, two = fpn((fine, coarse))
    small = fpn.inner_blocks[1](coarse)
    rows, columns = torch.arange(7) * 4 // 7, torch.arange(9) * 5 // 9
    expected = fpn.layer_blocks[0](fpn.inner_blocks[0](fine) + small[..., rows[:, None], columns])
    torch.testing.assert_close(one, expected)
    torch.testing.assert_close(two, fpn.layer_blocks[1](small))


def test_frozen_normalisation_is_batch_normalisation_in_eval_mode() -> None:
    network = nn.Sequential(nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4, eps=0.0)))
    norm = network[0][1]  # type: ignore[index]
    norm.running_mean, norm.running_var = torch.randn(4), torch.rand(4) + 0.5
    nn.init.normal_(norm.weight)
    x, before = torch.randn(2, 3, 5, 5), network.eval()
    expected, state = before(x), network.state_dict()
    freeze_norms(network)
    assert isinstance(network[0][1], FrozenNorm)  # type: ignore[index]
    network.load_state_dict({k: v for k, v in state.items() if not k.endswith("tracked")}, strict=True)
    torch.testing.assert_close(network.train()(x), expected)
    assert [n for n, _ in network.named_parameters()] == ["0.0.weight", "0.0.bias"]
    with pytest.raises(SegevalError, match="no normalisation"):
        PyramidBackbone(18, 8, 8, norm="group")
    assert padded(torch.ones(1, 1, 33, 64)).shape == (1, 1, 64, 64)


def test_labels_without_a_class_are_never_detected() -> None:
    regions = {**SMALL["regions"], "score": 0.0}
    network, images = mask_rcnn(regions=regions).eval(), tensors_of([toy_sample(k) for k in range(2)])[0]
    assert set(torch.cat([d.labels for d in network(images)]).tolist()) == {1, 2}
    network.unused = (1,)
    assert set(torch.cat([d.labels for d in network(images)]).tolist()) == {2}


def test_semantic_channels_and_their_loss() -> None:
    table = semantic_channels(TOYS.things)
    assert table[:4].tolist() == [1, 0, 2, 0]
    assert table[4:].unique().tolist() == [255]
    logits, labels = torch.randn(2, 3, 4, 5), torch.randint(0, 3, (2, 4, 5))
    labels[0, :2] = 255
    torch.testing.assert_close(semantic_term(logits, labels), F.cross_entropy(logits, labels, ignore_index=255))
    assert float(semantic_term(logits, torch.full_like(labels, 255))) == 0.0


def test_what_networks_are_built_for() -> None:
    assert outputs("semantic", TOYS) == (4,)
    assert outputs("instance", TOYS) == (2,)
    assert outputs("panoptic", TOYS) == (2, 2)
    assert outputs("instance", Taxonomy.of(5)) == (5,)
    assert outputs("panoptic", 21) == (11, 10)
    network = build("mask_rcnn", TOYS, "tiny", {"regions": {"detections": 9}})
    assert isinstance(network, MaskRCNN)
    assert network.roi_heads.rule.detections == 9
    assert network.roi_heads.rule.canonical == 56  # what isn't given stays the preset's


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: build("mask_rcnn", Taxonomy((1,), ("sky",), (False,))), "no class of things"),
        (lambda: mask_rcnn(anchors=((8,), (16,))), "anchors"),
        (lambda: build("mask_rcnn", 3, "tiny", {"regions": {"cap": 9}}), "can't be built"),
        (lambda: mask_rcnn().train()(torch.zeros(2, 3, 64, 64)), "learns from targets"),
        (lambda: panoptic_fpn().train()(torch.zeros(2, 3, 64, 64)), "learns from objects and stuff"),
    ],
)
def test_wrong_options_are_told_in_one_line(make: Any, message: str) -> None:
    with pytest.raises(SegevalError, match=message):
        make()


@pytest.mark.parametrize("name", ["mask_rcnn", "panoptic_fpn"])
def test_costs_are_counted_and_timed(name: str) -> None:
    # The heads on every region that the rules allow, by hand for the fully connected layers alone.
    small, large = cost(name, "demo", classes=4, size=(64, 64)), cost(name, "demo", classes=4, size=(64, 96))
    assert small.parameters == large.parameters > 100_000
    regions, hidden, width = 200, 80, 32
    linear = 2 * regions * (width * 49 * hidden + hidden**2 + hidden * 5 * outputs_of(name))
    assert linear < small.flops < large.flops
    timing = bench(NETWORKS[name](), (48, 64), torch.device("cpu"), batch=2, passes=1)
    assert timing.latency > 0


def outputs_of(name: str) -> int:
    return (2 if name == "panoptic_fpn" else 4) + 1


@pytest.mark.parametrize(
    ("name", "validate", "figure"), [("mask_rcnn", validate_instances, "AP"), ("panoptic_fpn", validate_panoptic, "PQ")]
)
def test_one_image_is_learned_by_heart(name: str, validate: Callable[..., Result], figure: str) -> None:
    sample_, network, steps = toy_sample(23, objects=3), NETWORKS[name](), 150
    optimiser = torch.optim.AdamW(network.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.02, steps)
    for _ in range(steps):
        terms = terms_of(network.train(), [sample_, sample_])
        optimiser.zero_grad()
        terms["total"].backward()
        nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimiser.step()
        schedule.step()
    predictor = ObjectPredictor(network.eval(), TOYS, MEAN, STD, Recipe(), torch.device("cpu"))
    assert validate(predictor, Listed({"a": sample_}))[figure] > 0.9


def test_targets_keep_their_form() -> None:
    _, targets = tensors_of([toy_sample(crowds=1)])
    assert isinstance(targets[0], DetectionTarget)
    assert len(targets[0].labels) == 3  # the crowd is no object to learn from
