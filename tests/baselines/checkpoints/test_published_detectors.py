"""Mask R-CNN against torchvision's: parameter counts, names, shapes, and outputs for the same weights.

The references in ``fixtures/torchvision`` were computed by torchvision 0.29.1 (torch 2.14.1, CPU, one thread) from the
weights and images that `formula` makes: ``fcn_resnet50`` and ``deeplabv3_resnet50`` with their auxiliary heads, of
which every seventh logit is kept; ``maskrcnn_resnet50_fpn`` with 91 classes on a ResNet-50 of `FrozenBatchNorm2d`,
after `overwrite_eps(model, 0.0)`, as the constructor does for the published file; and ``maskrcnn_resnet50_fpn_v2``.
The detectors' `min_size` and `max_size` were 224 and 320, and of the pasted masks the areas above three thresholds are
kept.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from segeval_baselines.checkpoints.weights import IMAGENET, load_weights
from segeval_baselines.cost import parameters
from segeval_baselines.networks.mask_rcnn import MaskRCNN
from segeval_baselines.ops import paste_masks
from segeval_baselines.prediction.object_inference import ObjectPredictor
from segeval_baselines.recipes import Recipe
from segeval_baselines.zoo import build

from segeval.samples.taxonomy import Taxonomy
from tests.baselines import published
from tests.baselines.formula import filled_by_formula, image_by_formula

FIXTURES = Path(__file__).parents[1] / "fixtures" / "torchvision"


def reference(name: str) -> dict[str, NDArray[Any]]:
    with np.load(FIXTURES / f"{name}.npz", allow_pickle=False) as stored:
        return {key: stored[key] for key in stored.files}


@pytest.mark.parametrize(
    ("preset", "count", "entries"),
    [
        ("full", 44_401_393, published.maskrcnn_resnet50_fpn),
        ("full-v2", 46_359_409, published.maskrcnn_resnet50_fpn_v2),
    ],
)
def test_parameters_names_and_shapes_are_torchvisions(preset: str, count: int, entries: Any) -> None:
    with torch.device("meta"):
        network = build("mask_rcnn", 90, preset)
    assert parameters(network) == count
    assert {k: tuple(v.shape) for k, v in network.state_dict().items()} == dict(entries())


def test_the_file_of_2020_loads_under_its_old_names() -> None:
    listed = dict(published.old_names(published.maskrcnn_resnet50_fpn()))
    assert len(listed) == 307
    assert "backbone.fpn.inner_blocks.3.weight" in listed
    assert "rpn.head.conv.weight" in listed
    assert "roi_heads.mask_head.mask_fcn4.bias" in listed
    with torch.device("meta"):
        network = build("mask_rcnn", 90, "full")
        state = {name: torch.empty(shape) for name, shape in listed.items()}
        report = load_weights(network, state, strict=True)
    assert set(report.loaded) == set(network.state_dict())


def test_a_classifiers_file_loads_into_the_body() -> None:
    with torch.device("meta"):
        state = {k: torch.empty(s) for k, s in published.resnet(50, fc=True)}
        for preset, counters in (("full", 53), ("full-v2", 0)):
            report = load_weights(build("mask_rcnn", 90, preset), state)
            assert len(report.unexpected) == 2 + counters
            assert not [key for key in report.missing if key.startswith("backbone.body")]


@pytest.mark.parametrize(
    ("name", "preset", "entries"),
    [
        ("maskrcnn_resnet50_fpn", "full", published.maskrcnn_resnet50_fpn),
        ("maskrcnn_resnet50_fpn_v2", "full-v2", published.maskrcnn_resnet50_fpn_v2),
    ],
)
def test_detections_are_torchvisions(name: str, preset: str, entries: Any) -> None:
    network = build("mask_rcnn", 90, preset)
    assert isinstance(network, MaskRCNN)
    load_weights(network, filled_by_formula(dict(entries())), strict=True)
    expected = reference(name)
    recipe = Recipe(short_side=224, long_side=320)
    predictor = ObjectPredictor(network.eval(), Taxonomy.of(90), *IMAGENET, recipe, torch.device("cpu"))
    image = (255 * image_by_formula(150, 200)).round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
    found, _ = predictor.look(image)
    assert found.labels.tolist() == expected["labels"].tolist()
    np.testing.assert_allclose(found.scores, expected["scores"], atol=1e-4)
    np.testing.assert_allclose(found.boxes, expected["boxes"], atol=1e-4 * 200)
    for column, threshold in enumerate((0.25, 0.5, 0.75)):
        areas = paste_masks(found.masks, found.boxes, (150, 200), threshold).sum((1, 2))
        np.testing.assert_allclose(areas, expected["areas"][:, column], atol=1)


@pytest.mark.parametrize(
    ("name", "entries"),
    [
        ("fcn_resnet50", lambda: published.fcn_resnet(50)),
        ("deeplabv3_resnet50", lambda: published.deeplabv3_resnet(50)),
    ],
)
def test_logits_are_torchvisions(name: str, entries: Any) -> None:
    network = build(name, 21, "full")
    load_weights(network, filled_by_formula(dict(entries())), strict=True)
    with torch.no_grad():
        logits = network.eval()(image_by_formula(97, 129)[None]).main[0, :, ::7, ::7]
    np.testing.assert_allclose(logits, reference(name)["out"], atol=1e-4)
