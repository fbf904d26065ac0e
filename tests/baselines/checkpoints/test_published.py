"""Parameter counts, names and shapes as published, and forward passes as slow references compute them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from segeval_baselines.checkpoints.published import VOC, published_checkpoint
from segeval_baselines.checkpoints.weights import adapt, load_weights
from segeval_baselines.cost import parameters
from segeval_baselines.layers.resnet import ResNet
from segeval_baselines.layers.vgg import VGG
from segeval_baselines.networks.deeplab import DeepLabV3, DeepLabV3Plus
from segeval_baselines.networks.fcn import FCN, FCNResNet
from segeval_baselines.networks.pspnet import PSPNet
from segeval_baselines.networks.segnet import SegNet, SegNetBasic
from segeval_baselines.networks.unet import UNet
from segeval_baselines.zoo import build
from torch import nn

from segeval.errors import SegevalError
from segeval.samples.taxonomy import Taxonomy
from tests.baselines import published, slow


@pytest.mark.parametrize(
    ("model", "preset", "classes", "options", "count"),
    [
        ("fcn", "full", 21, {}, 134_489_759),
        ("fcn_resnet50", "full", 21, {}, 35_322_218),
        ("fcn_resnet101", "full", 21, {}, 54_314_346),
        ("segnet", "full", 11, {}, 29_441_419),
        ("segnet", "basic", 11, {}, 1_416_075),
        ("unet", "full", 2, {"channels": 1}, 31_030_658),
        ("unet", "full-padded", 2, {}, 31_037_698),
        ("pspnet", "full", 21, {}, 49_081_578),
        ("pspnet", "full", 21, {"aux": False}, 46_716_373),
        ("pspnet", "full-101", 19, {}, 68_072_166),
        ("deeplabv3", "full", 21, {}, 39_638_869),
        ("deeplabv3_resnet50", "full", 21, {}, 42_004_074),
        ("deeplabv3_resnet101", "full", 21, {}, 60_996_202),
        ("deeplabv3plus", "full", 21, {"separable": False}, 40_352_181),
    ],
)
def test_full_presets_have_the_published_number_of_parameters(
    model: str, preset: str, classes: int, options: dict[str, Any], count: int
) -> None:
    with torch.device("meta"):
        assert parameters(build(model, classes, preset, options)) == count


def test_classifiers_have_the_published_number_of_parameters() -> None:
    with torch.device("meta"):
        assert parameters(VGG()) == 138_357_544
        assert parameters(VGG(norm=True)) == 138_365_992
        for depth, count in ((18, 11_689_512), (34, 21_797_672), (50, 25_557_032), (101, 44_549_160)):
            network = ResNet(depth)
            assert parameters(network) + network.channels[3] * 1000 + 1000 == count


@pytest.mark.parametrize("depth", [18, 34, 50, 101])
def test_resnet_names_and_shapes_are_torchvisions(depth: int) -> None:
    with torch.device("meta"):
        own = {k: tuple(v.shape) for k, v in ResNet(depth).state_dict().items()}
    assert own == dict(published.resnet(depth))


@pytest.mark.parametrize("bn", [False, True])
def test_vgg_names_and_shapes_are_torchvisions(bn: bool) -> None:
    with torch.device("meta"):
        own = {k: tuple(v.shape) for k, v in VGG(norm=bn).state_dict().items()}
    assert own == dict(published.vgg16(bn=bn))


@pytest.mark.parametrize(
    ("model", "entries", "number"),
    [
        ("fcn_resnet50", lambda: published.fcn_resnet(50), 334),
        ("fcn_resnet101", lambda: published.fcn_resnet(101), 640),
        ("deeplabv3_resnet50", lambda: published.deeplabv3_resnet(50), 370),
        ("deeplabv3_resnet101", lambda: published.deeplabv3_resnet(101), 676),
    ],
)
def test_segmentation_dictionaries_load_strictly(model: str, entries: Any, number: int) -> None:
    listed = dict(entries())
    assert len(listed) == number
    with torch.device("meta"):
        network = build(model, 21, "full")
        state = {name: torch.empty(shape) for name, shape in listed.items()}
        report = load_weights(network, state, strict=True)
    assert not report.missing
    assert not report.unexpected
    assert set(report.loaded) == set(network.state_dict())


@pytest.mark.parametrize(
    ("network", "entries", "reference"),
    [
        (lambda: FCNResNet(21), lambda: published.fcn_resnet(50), slow.fcn_resnet),
        (
            lambda: DeepLabV3(21, output_stride=8, aux=True),
            lambda: published.deeplabv3_resnet(50),
            slow.deeplabv3_resnet,
        ),
    ],
)
def test_loaded_networks_compute_what_the_slow_reference_does(network: Any, entries: Any, reference: Any) -> None:
    state = published.filled(entries())
    model = network()
    load_weights(model, state, strict=True)
    x = torch.randn(1, 3, 49, 65)
    with torch.no_grad():
        expected, found = reference(x, state), model.eval()(x).main
    assert found.shape == (1, 21, 49, 65)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))


def test_dilating_the_first_block_loads_but_computes_something_else() -> None:
    # The mistake that the slow reference guards against: same names and shapes, other results.
    right = ResNet(18, output_stride=8, width=8).eval()
    wrong = ResNet(18, output_stride=8, width=8, dilate_first=True).eval()
    wrong.load_state_dict(right.state_dict(), strict=True)
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert not torch.allclose(right(x)[3], wrong(x)[3], atol=1e-3)


@pytest.mark.parametrize(("stride", "sizes"), [(32, (17, 9, 5, 3)), (16, (17, 9, 5, 5)), (8, (17, 9, 9, 9))])
@pytest.mark.parametrize("depth", [18, 50])
def test_dilation_keeps_resolution(depth: int, stride: int, sizes: tuple[int, ...]) -> None:
    network = ResNet(depth, output_stride=stride, width=8, deep_stem=depth == 50)
    assert tuple(m.shape[-1] for m in network(torch.randn(2, 3, 65, 65))) == sizes


def test_classifier_files_load_into_backbones() -> None:
    with torch.device("meta"):
        state = {k: torch.empty(s) for k, s in published.resnet(50, fc=True)}
        report = load_weights(DeepLabV3Plus(11), state)
        assert report.unexpected == ("backbone.fc.weight", "backbone.fc.bias")
        assert not [key for key in report.missing if key.startswith("backbone")]
        assert "not used: 2" in report.table()
        state = {k: torch.empty(s) for k, s in published.vgg16(bn=False)}
        report = load_weights(FCN(21), state)
        assert report.unexpected == ("classifier.6.weight", "classifier.6.bias")
        assert {"fc6.weight", "fc7.bias", "features.28.weight"} <= set(report.loaded)


def test_a_vgg_bias_moves_into_the_mean_of_the_normalisation() -> None:
    source, network = VGG(norm=True, width=4, hidden=8), SegNet(3, width=4)
    for layer in source.features:
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean = torch.randn_like(layer.running_mean)  # type: ignore[arg-type]
        if isinstance(layer, nn.Conv2d) and layer.bias is not None:
            nn.init.normal_(layer.bias)
    load_weights(network, source.state_dict())
    x = torch.randn(1, 3, 32, 32)
    torch.testing.assert_close(network.eval().features(x), source.eval().features(x), rtol=1e-4, atol=1e-5)


def test_weights_that_fit_nothing_are_refused_readably() -> None:
    with pytest.raises(SegevalError, match="don't fit"):
        load_weights(SegNetBasic(3, width=4, kernel=3), {"head.weight": torch.zeros(3)})
    with pytest.raises(SegevalError, match="missing in the file"):
        load_weights(UNet(2, width=4, depth=1), {"head.bias": torch.zeros(2)}, strict=True)
    report = load_weights(UNet(2, width=4, depth=1), {"head.bias": torch.zeros(2), "head.weight": torch.zeros(9)})
    assert report.reshaped == (("head.weight", (9,), (2, 4, 1, 1)),)
    assert "another shape: head.weight" in report.table()


def test_prefixes_of_parallel_training_are_dropped() -> None:
    network = PSPNet(3, depth=18, width=8)
    state = {f"module.{k}": v for k, v in network.state_dict().items()}
    assert set(adapt(state, network)) == set(network.state_dict())


def test_published_files_predict(tmp_path: Path) -> None:
    assert VOC.names[15] == "person"
    assert VOC.colours[:4] == ((0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0))
    assert VOC.colours[15] == (192, 128, 128)
    state = published.filled(published.fcn_resnet(50))
    torch.save(state, tmp_path / "fcn_resnet50.pth")
    torch.save({k: v for k, v in state.items() if not k.startswith("aux_")}, tmp_path / "noaux.pth")
    for name in ("fcn_resnet50.pth", "noaux.pth"):
        checkpoint = published_checkpoint("fcn_resnet50", tmp_path / name)
        assert torch.equal(checkpoint.weights["classifier.4.bias"], state["classifier.4.bias"])
    with pytest.raises(SegevalError, match="isn't a deeplabv3_resnet50 of 21 classes"):
        published_checkpoint("deeplabv3_resnet50", tmp_path / "fcn_resnet50.pth")
    with pytest.raises(SegevalError, match="isn't a fcn_resnet50 of 5 classes"):
        published_checkpoint("fcn_resnet50", tmp_path / "noaux.pth", taxonomy=Taxonomy.of(5))
