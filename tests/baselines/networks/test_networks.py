"""What every network promises, on toy sizes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from segeval_baselines.layers.blocks import Logits, bilinear_filter
from segeval_baselines.layers.vgg import VGG
from segeval_baselines.networks.deeplab import ASPP, DeepLabV3, DeepLabV3Plus
from segeval_baselines.networks.fcn import FCN, FCNResNet
from segeval_baselines.networks.pspnet import PSPNet, PyramidPooling
from segeval_baselines.networks.segnet import SegNet, SegNetBasic, pool, unpool
from segeval_baselines.networks.unet import UNet
from segeval_baselines.zoo import MODELS, build
from torch import nn
from torch.nn import functional as F

from segeval.errors import SegevalError

TOYS: dict[str, Any] = {
    "fcn32": lambda: FCN(3, width=4, hidden=8, stride=32, norm=True, dropout=0.1),
    "fcn16": lambda: FCN(3, width=4, hidden=8, stride=16, norm=True, dropout=0.1),
    "fcn8": lambda: FCN(3, width=8, hidden=32, norm=True, dropout=0.1),
    "fcn_resnet": lambda: FCNResNet(3, depth=18, width=8),
    "segnet": lambda: SegNet(3, width=4),
    "segnet_basic": lambda: SegNetBasic(3, width=16, kernel=5),
    "unet": lambda: UNet(3, width=8, depth=3, norm=True),
    "unet_sum": lambda: UNet(3, width=8, depth=3, norm=True, skips="sum"),
    "unet_valid": lambda: UNet(3, width=8, depth=2, padding="valid"),
    "unet_shrink": lambda: UNet(3, width=8, depth=2, norm=True, shrink=2),
    "pspnet": lambda: PSPNet(3, depth=18, width=8),
    "deeplabv3": lambda: DeepLabV3(3, depth=18, width=8, inner=16, output_stride=8, aux=True, dropout=0.1),
    "deeplabv3plus": lambda: DeepLabV3Plus(3, depth=18, width=8, inner=16, low=8, dropout=0.1),
}
OVERFIT = ("fcn8", "fcn_resnet", "segnet", "segnet_basic", "unet", "unet_valid", "pspnet", "deeplabv3", "deeplabv3plus")


@pytest.mark.parametrize("name", TOYS)
@pytest.mark.parametrize("size", [(33, 47), (50, 64)])
def test_any_size_comes_back(name: str, size: tuple[int, int]) -> None:
    network = TOYS[name]().eval()
    if network.border:
        size = (60, 76)
    logits = network(torch.randn(2, 3, *size))
    assert isinstance(logits, Logits)
    assert logits.main.shape == (2, 3, size[0] - 2 * network.border, size[1] - 2 * network.border)
    assert logits.aux == ()


@pytest.mark.parametrize("name", TOYS)
def test_gradients_reach_every_parameter(name: str) -> None:
    network = TOYS[name]().train()
    # A deep network without skips shrinks a map to a pixel; the batch keeps normalisation from making it zero.
    logits = network(torch.randn(4, 3, 60, 76))
    loss = sum((part * torch.randn_like(part)).sum() for part in (logits.main, *logits.aux))
    loss.backward()
    idle = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert not idle


@pytest.mark.parametrize("name", TOYS)
def test_eval_mode_is_deterministic(name: str) -> None:
    network, x = TOYS[name]().eval(), torch.randn(1, 3, 60, 76)
    with torch.no_grad():
        assert torch.equal(network(x).main, network(x).main)


def toy_batch(network: nn.Module) -> tuple[torch.Tensor, torch.Tensor]:
    """Two images of coloured boxes on a background, with noise."""
    border = int(network.border)  # type: ignore[arg-type]
    labels = torch.zeros(2, 60, 76, dtype=torch.long)
    labels[0, 8:40, 10:44] = 1
    labels[1, 20:52, 30:64] = 2
    colours = torch.tensor([[0.1, 0.2, 0.3], [0.9, -0.8, 0.1], [-0.7, 0.9, 0.8]])
    images = colours[labels].permute(0, 3, 1, 2) + 0.05 * torch.randn(2, 3, 60, 76)
    if border:
        labels = labels[:, border:-border, border:-border]
    return images, labels


@pytest.mark.parametrize("name", OVERFIT)
def test_one_batch_is_learned_by_heart(name: str) -> None:
    network = TOYS[name]().train()
    images, labels = toy_batch(network)
    optimiser = torch.optim.AdamW(network.parameters(), lr=5e-3)
    accuracy = 0.0
    for step in range(150):
        logits = network(images)
        loss = sum(F.cross_entropy(part, labels) for part in (logits.main, *logits.aux))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        accuracy = float((logits.main.argmax(1) == labels).float().mean())
        if step > 5 and accuracy > 0.985:
            break
    assert accuracy > 0.98


@pytest.mark.parametrize("name", ["fcn8", "segnet", "unet", "pspnet", "deeplabv3plus"])
def test_export_gives_the_same_numbers(name: str) -> None:
    network, x = TOYS[name]().eval(), torch.randn(1, 3, 48, 64)
    exported = torch.export.export(network, (x,)).module()
    with torch.no_grad():
        torch.testing.assert_close(exported(x).main, network(x).main)


def test_atrous_convolution_is_a_kernel_with_holes_and_keeps_the_resolution() -> None:
    x, kernel = torch.randn(1, 2, 17, 19, dtype=torch.float64), torch.randn(4, 2, 3, 3, dtype=torch.float64)
    holes = kernel.new_zeros(4, 2, 7, 7)
    holes[..., ::3, ::3] = kernel
    atrous = F.conv2d(x, kernel, padding=3, dilation=3)
    torch.testing.assert_close(atrous, F.conv2d(x, holes, padding=3))
    assert atrous.shape[-2:] == x.shape[-2:]


def test_transposed_convolution_is_the_adjoint_of_strided_and_raises_the_resolution() -> None:
    x, kernel = torch.randn(1, 2, 16, 18, dtype=torch.float64), torch.randn(4, 2, 4, 4, dtype=torch.float64)
    forward = F.conv2d(x, kernel, stride=2, padding=1)
    y = torch.randn_like(forward)
    back = F.conv_transpose2d(y, kernel, stride=2, padding=1)
    torch.testing.assert_close((forward * y).sum(), (x * back).sum())
    assert back.shape[-1] == 2 * y.shape[-1]
    atrous = F.conv2d(x, kernel, padding=3, dilation=2)
    assert atrous.shape[-1] == x.shape[-1]


def test_unpooling_puts_values_back_where_they_came_from() -> None:
    x = torch.randn(2, 3, 7, 9)
    pooled, indices, size = pool(x)
    assert pooled.shape[-2:] == (4, 5)
    back = unpool(pooled, indices, size)
    kept = back != 0
    assert torch.equal(back[kept], x[kept])
    assert int(kept.sum()) == pooled.numel()
    again, *_ = pool(back.masked_fill(~kept, -torch.inf))
    assert torch.equal(again, pooled)


def test_fcn_upsampling_starts_as_bilinear_interpolation() -> None:
    for factor in (2, 8, 16, 32):
        network = FCN(2, width=4, hidden=8, stride=max(factor, 8))
        layer = network.final if factor > 2 else FCN(2, width=4, hidden=8, stride=16).twice[0]
        x, half = torch.randn(1, 2, 6, 7), factor // 2
        found = layer(x)[..., half:-half, half:-half]
        expected = F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)
        inner = (..., slice(half, -half), slice(half, -half))  # beyond, interpolation repeats the border
        torch.testing.assert_close(found[inner], expected[inner], rtol=1e-4, atol=1e-5)
    assert torch.equal(bilinear_filter(3), torch.tensor([[0.25, 0.5, 0.25], [0.5, 1, 0.5], [0.25, 0.5, 0.25]]))


def test_fixed_upsampling_counts_but_does_not_learn() -> None:
    network = FCN(3, width=4, hidden=8, learn_upsampling=False)
    fixed = [n for n, p in network.named_parameters() if not p.requires_grad]
    assert fixed == ["twice.0.weight", "twice.1.weight", "final.weight"]


def test_a_classifier_becomes_an_fcn_with_equal_outputs() -> None:
    from segeval_baselines.checkpoints.weights import load_weights

    source = VGG(5, width=4, hidden=16).eval()
    network = FCN(5, width=4, hidden=16, stride=32).eval()
    load_weights(network, source.state_dict())
    last = source.classifier[6]
    assert isinstance(last, nn.Linear)
    network.score.weight.data = last.weight.data[:, :, None, None]
    network.score.bias.data = last.bias.data  # type: ignore[union-attr]
    seen: list[torch.Tensor] = []
    network.score.register_forward_hook(lambda _module, _inputs, output: seen.append(output))
    x = torch.randn(2, 3, 224, 224)
    with torch.no_grad():
        network(x)
        expected = source(x)
    # fc6 is padded, so the scores are a 7x7 map; its centre has seen exactly what the classifier sees.
    assert seen[0].shape == (2, 5, 7, 7)
    torch.testing.assert_close(seen[0][:, :, 3, 3], expected, rtol=1e-4, atol=1e-5)


def test_the_pyramid_has_means_over_grids_before_its_convolutions() -> None:
    pyramid = PyramidPooling(8, (1, 2, 3, 6)).eval()
    assert pyramid.channels == 16
    assert [m[0].out_channels for m in pyramid.reduce] == [2, 2, 2, 2]  # type: ignore[index, union-attr]
    x = torch.randn(1, 8, 12, 18)
    out = pyramid(x)
    assert torch.equal(out[:, :8], x)
    whole = pyramid.reduce[0](x.mean(dim=(2, 3), keepdim=True))
    torch.testing.assert_close(out[:, 8:10], whole.expand(-1, -1, 12, 18))


def test_image_level_features_do_not_depend_on_place() -> None:
    aspp = ASPP(4, 6, (6, 12, 18)).eval()
    x = torch.randn(1, 4, 9, 9)
    branch = aspp.convs[-1](x)
    assert branch.shape == (1, 6, 9, 9)
    assert torch.equal(branch, branch[..., :1, :1].expand_as(branch))
    assert [m[0].dilation[0] for m in list(aspp.convs)[1:4]] == [6, 12, 18]  # type: ignore[index, union-attr]


def test_rates_follow_the_output_stride() -> None:
    for stride, rates in ((16, [6, 12, 18]), (8, [12, 24, 36])):
        network = DeepLabV3(2, depth=18, width=8, inner=8, output_stride=stride)
        assert [m[0].dilation[0] for m in list(network.classifier[0].convs)[1:4]] == rates  # type: ignore[index, union-attr, arg-type]


def test_every_preset_can_be_built() -> None:
    with torch.device("meta"):
        for name, entry in MODELS.items():
            for preset in entry.presets:
                assert sum(p.numel() for p in build(name, 11, preset).parameters()) > 0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: build("unett", 2), "did you mean unet"),
        (lambda: build("unet", 2, "huge"), "take tiny, demo, nuclei, full"),
        (lambda: build("unet", 2, "tiny", {"wide": 3}), "can't be built"),
        (lambda: FCN(2, stride=4), "FCN-4s"),
        (lambda: UNet(2, padding="reflect"), "no padding of a U-Net"),
        (lambda: DeepLabV3(2, depth=20), "ResNet-20"),
        (lambda: DeepLabV3(2, output_stride=4), "no output stride"),
    ],
)
def test_wrong_options_are_told_in_one_line(make: Any, message: str) -> None:
    with pytest.raises(SegevalError, match=message):
        make()
