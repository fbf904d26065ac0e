"""What exists: the architectures, their presets and recipes, and what was published about them."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from segeval.errors import SegevalError
from segeval_baselines import recipes
from segeval_baselines.deeplab import DeepLabV3, DeepLabV3Plus
from segeval_baselines.fcn import FCN, FCNResNet
from segeval_baselines.pspnet import PSPNet
from segeval_baselines.recipes import Recipe
from segeval_baselines.segnet import SegNet, SegNetBasic
from segeval_baselines.unet import UNet

Options = Mapping[str, Any]


@dataclass(frozen=True)
class Preset:
    """A network with its options, and how it is trained."""

    network: Callable[..., nn.Module]
    options: Options
    recipe: Recipe


@dataclass(frozen=True)
class Published:
    """A result as its authors state it; `protocol` says on what, with what, and where it stands."""

    value: str
    protocol: str


@dataclass(frozen=True)
class Architecture:
    """One entry of the list."""

    title: str
    paper: str
    presets: Mapping[str, Preset]
    published: tuple[Published, ...]
    task: str = "semantic"


def _torchvision(network: Callable[..., nn.Module], title: str, paper: str, **options: Any) -> Architecture:
    results = {
        "FCN-ResNet50": "60.5",
        "FCN-ResNet101": "63.7",
        "DeepLab v3-ResNet50": "66.4",
        "DeepLab v3-ResNet101": "67.4",
    }
    protocol = "COCO val2017 with the 21 VOC classes, batch size 1; torchvision's weights"
    recipe = recipes.DEEPLAB_FULL
    return Architecture(
        title, paper, {"full": Preset(network, options, recipe)}, (Published(f"mIoU {results[title]}", protocol),)
    )


_FCN = "Long, Shelhamer, Darrell, CVPR 2015"
_SEGNET = "Badrinarayanan, Kendall, Cipolla, PAMI 2017"
_DEEPLAB = "Chen, Papandreou, Schroff, Adam, arXiv 1706.05587"

MODELS: dict[str, Architecture] = {
    "fcn": Architecture(
        "FCN-8s",
        _FCN,
        {
            "tiny": Preset(FCN, {"width": 16, "hidden": 256, "norm": True, "dropout": 0.1}, recipes.TINY),
            "demo": Preset(FCN, {"width": 8, "hidden": 64, "norm": True, "dropout": 0.1}, recipes.TINY),
            "full": Preset(FCN, {}, recipes.FCN_FULL),
        },
        (
            Published("mIoU 65.5", "VOC 2011 seg11valid, trained on SBD; the authors' repository"),
            Published("mIoU 67.2", "VOC 2012 test; the authors' repository"),
        ),
    ),
    "fcn_resnet50": _torchvision(FCNResNet, "FCN-ResNet50", _FCN + "; torchvision's variant", depth=50),
    "fcn_resnet101": _torchvision(FCNResNet, "FCN-ResNet101", _FCN + "; torchvision's variant", depth=101),
    "segnet": Architecture(
        "SegNet",
        _SEGNET,
        {
            "tiny": Preset(SegNetBasic, {"width": 48, "kernel": 5, "shrink": 2}, recipes.TINY),
            "demo": Preset(SegNetBasic, {"width": 48, "kernel": 5}, recipes.TINY),
            "basic": Preset(SegNetBasic, {}, recipes.SEGNET_FULL),
            "full": Preset(SegNet, {}, recipes.SEGNET_FULL),
        },
        (
            Published("mIoU 60.1", "CamVid test, 11 classes, trained on about 3,400 further road images; the paper"),
            Published("mIoU 46.4", "CamVid test, 11 classes, the 367 images; as tabulated by FC-DenseNet"),
        ),
    ),
    "unet": Architecture(
        "U-Net",
        "Ronneberger, Fischer, Brox, MICCAI 2015",
        {
            "tiny": Preset(UNet, {"width": 16, "norm": True, "shrink": 2}, recipes.TINY),
            "demo": Preset(UNet, {"width": 8, "norm": True}, recipes.TINY),
            "full": Preset(UNet, {"padding": "valid", "dropout": 0.5}, recipes.UNET_FULL),
            "full-padded": Preset(UNet, {"norm": True}, recipes.FCN_FULL),
        },
        (
            Published("IoU 92.0", "PhC-U373, ISBI 2015 cell tracking challenge; the paper"),
            Published("IoU 77.6", "DIC-HeLa, ISBI 2015 cell tracking challenge; the paper"),
        ),
    ),
    "pspnet": Architecture(
        "PSPNet",
        "Zhao, Shi, Qi, Wang, Jia, CVPR 2017",
        {
            "tiny": Preset(PSPNet, {"depth": 18, "width": 16, "deep_stem": False}, recipes.TINY),
            "demo": Preset(PSPNet, {"depth": 18, "width": 12, "deep_stem": False}, recipes.TINY),
            "full": Preset(PSPNet, {}, recipes.PSPNET_FULL),
            "full-101": Preset(PSPNet, {"depth": 101}, recipes.PSPNET_FULL),
        },
        (
            Published(
                "mIoU 77.3", "Cityscapes val, ResNet-50, single scale, ImageNet weights; the authors' repository"
            ),
            Published("mIoU 80.2", "Cityscapes test, with the coarse annotations; the paper"),
        ),
    ),
    "deeplabv3": Architecture(
        "DeepLab v3",
        _DEEPLAB,
        {
            "tiny": Preset(DeepLabV3, {"depth": 18, "width": 32, "inner": 64, "dropout": 0.1}, recipes.TINY),
            "demo": Preset(DeepLabV3, {"depth": 18, "width": 12, "inner": 32, "dropout": 0.1}, recipes.TINY),
            "full": Preset(DeepLabV3, {}, recipes.DEEPLAB_FULL),
        },
        (Published("mIoU 85.7", "VOC 2012 test, ResNet-101, ImageNet and COCO weights; the paper"),),
    ),
    "deeplabv3plus": Architecture(
        "DeepLab v3+",
        "Chen, Zhu, Papandreou, Schroff, Adam, ECCV 2018",
        {
            "tiny": Preset(
                DeepLabV3Plus, {"depth": 18, "width": 32, "inner": 64, "low": 24, "dropout": 0.1}, recipes.TINY
            ),
            "demo": Preset(
                DeepLabV3Plus, {"depth": 18, "width": 12, "inner": 32, "low": 16, "dropout": 0.1}, recipes.TINY
            ),
            "full": Preset(DeepLabV3Plus, {}, recipes.DEEPLAB_FULL),
        },
        (
            Published("mIoU 89.0", "VOC 2012 test, Xception with JFT weights; the paper"),
            Published("mIoU 82.1", "Cityscapes test, Xception; the paper"),
        ),
    ),
    "deeplabv3_resnet50": _torchvision(
        DeepLabV3, "DeepLab v3-ResNet50", _DEEPLAB + "; torchvision's variant", depth=50, output_stride=8, aux=True
    ),
    "deeplabv3_resnet101": _torchvision(
        DeepLabV3, "DeepLab v3-ResNet101", _DEEPLAB + "; torchvision's variant", depth=101, output_stride=8, aux=True
    ),
}


def architecture(name: str) -> Architecture:
    """An entry by name.

    Raises
    ------
    SegevalError
        For an unknown name, with the nearest one.
    """
    if name in MODELS:
        return MODELS[name]
    near = difflib.get_close_matches(name, MODELS, 1)
    hint = f"did you mean {near[0]}?" if near else f"models are {', '.join(MODELS)}"
    raise SegevalError(f"there is no model {name!r}", remedy=hint)


def preset_of(name: str, preset: str) -> Preset:
    """A preset of a model; ``SegevalError`` for one that it lacks."""
    known = architecture(name).presets
    if preset not in known:
        raise SegevalError(f"{name} has no preset {preset!r}", remedy=f"take {', '.join(known)}")
    return known[preset]


def build(name: str, classes: int, preset: str = "tiny", options: Options | None = None) -> nn.Module:
    """Make a network.

    Parameters
    ----------
    name, preset
        Keys of `MODELS` and of its presets.
    classes
        Channels of the output.
    options
        Replace the preset's options.

    Raises
    ------
    SegevalError
        For a name, preset or option that doesn't exist.
    """
    chosen = preset_of(name, preset)
    try:
        return chosen.network(classes, **{**chosen.options, **(options or {})})
    except TypeError as error:
        raise SegevalError(f"{name} can't be built ({error})", remedy="see segeval models") from None
