"""What exists: the architectures, their presets and recipes, and what was published about them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from segeval.errors import SegevalError, nearest
from segeval.samples.taxonomy import Taxonomy
from segeval_baselines import recipes
from segeval_baselines.networks.deeplab import DeepLabV3, DeepLabV3Plus
from segeval_baselines.networks.fcn import FCN, FCNResNet
from segeval_baselines.networks.mask_rcnn import MaskRCNN
from segeval_baselines.networks.panoptic_fpn import PanopticFPN
from segeval_baselines.networks.pspnet import PSPNet
from segeval_baselines.networks.segnet import SegNet, SegNetBasic
from segeval_baselines.networks.unet import UNet
from segeval_baselines.recipes import Recipe

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

    @property
    def detects(self) -> bool:
        """Whether it finds objects by itself, rather than the class of each pixel."""
        return self.task != "semantic"


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


_TINY_OBJECTS: Options = {
    "depth": 18,
    "width": 32,
    "pyramid": 64,
    "anchors": ((10,), (20,), (40,), (80,)),
    "proposals": {"before": (300, 300), "after": (200, 200), "sampled": 128},
    "regions": {"canonical": 56.0, "sampled": 64},
    "heads": {"hidden": 256, "mask_convolutions": 2},
}
_DEMO_OBJECTS: Options = {
    **_TINY_OBJECTS,
    "width": 16,
    "pyramid": 32,
    "heads": {"hidden": 80, "mask_convolutions": 2},
}
_NUCLEI: Options = {
    **_TINY_OBJECTS,
    "anchors": ((8,), (16,), (32,), (64,)),
    "proposals": {"before": (1000, 1500), "after": (500, 1000)},
    "regions": {"canonical": 56.0, "sampled": 128, "detections": 400},
}

_TINY_PANOPTIC: Options = {
    "semantic_width": 32,
    "semantic_groups": 8,
    "merging": {"stuff_area": 600.0},
}
# Objects of all sizes, stuff that is hard to tell: larger anchors, and as much weight on stuff as on things.
_COCO: Options = {"anchors": ((12,), (24,), (48,), (96,)), "semantic_weight": 1.0}

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
            "nuclei": Preset(UNet, {"width": 16, "norm": True, "shrink": 2}, recipes.UNET_NUCLEI),
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
    "mask_rcnn": Architecture(
        "Mask R-CNN",
        "He, Gkioxari, Dollár, Girshick, ICCV 2017",
        {
            "tiny": Preset(MaskRCNN, _TINY_OBJECTS, recipes.OBJECTS_TINY),
            "demo": Preset(MaskRCNN, _DEMO_OBJECTS, recipes.OBJECTS_TINY),
            "nuclei": Preset(MaskRCNN, _NUCLEI, recipes.NUCLEI),
            "full": Preset(MaskRCNN, {"norm": "frozen"}, recipes.MASK_RCNN_FULL),
            "full-v2": Preset(
                MaskRCNN,
                {"pyramid_norm": True, "rpn_convolutions": 2, "heads": {"convolutional": True}},
                recipes.MASK_RCNN_FULL,
            ),
        },
        (
            Published("mask AP 35.7", "COCO test-dev, ResNet-101-FPN, ImageNet weights; the paper"),
            Published("box AP 37.9, mask AP 34.6", "COCO val2017, ResNet-50-FPN; torchvision's weights V1 (full)"),
            Published("box AP 47.4, mask AP 41.8", "COCO val2017, ResNet-50-FPN; torchvision's weights V2 (full-v2)"),
        ),
        "instance",
    ),
    "panoptic_fpn": Architecture(
        "Panoptic FPN",
        "Kirillov, Girshick, He, Dollár, CVPR 2019",
        {
            "tiny": Preset(PanopticFPN, {**_TINY_OBJECTS, **_TINY_PANOPTIC}, recipes.OBJECTS_TINY),
            "coco": Preset(PanopticFPN, {**_TINY_OBJECTS, **_TINY_PANOPTIC, **_COCO}, recipes.COCO_TINY),
            "demo": Preset(PanopticFPN, {**_DEMO_OBJECTS, **_TINY_PANOPTIC}, recipes.OBJECTS_TINY),
            "full": Preset(PanopticFPN, {"norm": "frozen"}, recipes.MASK_RCNN_FULL),
        },
        (
            Published("PQ 39.0", "COCO val2017, ResNet-50, ImageNet weights; the paper"),
            Published("PQ 41.5", "COCO val2017, ResNet-50, three times the schedule; Detectron2's model zoo"),
            Published("PQ 57.7", "Cityscapes val, ResNet-50; the paper"),
        ),
        "panoptic",
    ),
}


def architecture(name: str) -> Architecture:
    """An entry by name.

    Raises
    ------
    SegevalError
        For an unknown name, with the nearest one.
    """
    if name not in MODELS:
        raise SegevalError(f"there is no model {name!r}", remedy=nearest(name, MODELS, "models are"))
    return MODELS[name]


def preset_of(name: str, preset: str) -> Preset:
    """A preset of a model; ``SegevalError`` for one that it lacks."""
    known = architecture(name).presets
    if preset not in known:
        raise SegevalError(f"{name} has no preset {preset!r}", remedy=f"take {', '.join(known)}")
    return known[preset]


def outputs(task: str, classes: int | Taxonomy) -> tuple[int, ...]:
    """What a task's network is built for: all classes; the things; the things and the stuff.

    A plain count stands for so many classes or things; for a panoptic network for things and stuff by halves.
    """
    if isinstance(classes, Taxonomy):
        every = len(classes)
        things = every if classes.things is None else sum(classes.things)
        counts = {"semantic": (every,), "instance": (things,), "panoptic": (things, every - things)}
    else:
        counts = {"semantic": (classes,), "instance": (classes,), "panoptic": (classes - classes // 2, classes // 2)}
    return counts[task]


def build(name: str, classes: int | Taxonomy, preset: str = "tiny", options: Options | None = None) -> nn.Module:
    """Make a network.

    Parameters
    ----------
    name, preset
        Keys of `MODELS` and of its presets.
    classes
        What it tells apart (see `outputs`).
    options
        Replace the preset's options; of options that are themselves by name, only those given.

    Raises
    ------
    SegevalError
        For a name, preset or option that doesn't exist.

    Examples
    --------
    >>> import torch
    >>> from segeval_baselines import build
    >>> network = build("unet", 5, "demo").eval()
    >>> tuple(network(torch.zeros(1, 3, 64, 96)).main.shape)
    (1, 5, 64, 96)
    """
    chosen = preset_of(name, preset)
    wanted = dict(chosen.options)
    for key, value in (options or {}).items():
        both = isinstance(value, Mapping) and isinstance(wanted.get(key), Mapping)
        wanted[key] = {**wanted[key], **value} if both else value
    try:
        return chosen.network(*outputs(architecture(name).task, classes), **wanted)
    except TypeError as error:
        raise SegevalError(f"{name} can't be built ({error})", remedy="see segeval models") from None
