"""Loading weights that others published: torchvision's classifiers and segmentation networks, from files on disk."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from segeval.errors import SegevalError

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and spread of the colours that published weights expect."""


@dataclass(frozen=True)
class LoadReport:
    """What became of a file's entries.

    Attributes
    ----------
    loaded, missing, unexpected
        Keys of the network that were set, keys that the file lacks, and keys of the file that found no place.
    reshaped
        (key, shape in the file, shape in the network) of entries that don't fit.
    """

    loaded: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    reshaped: tuple[tuple[str, tuple[int, ...], tuple[int, ...]], ...] = ()

    def table(self) -> str:
        """A readable summary, by module."""
        lines = [f"loaded {len(self.loaded)} entries"]
        for title, keys in (("missing in the file", self.missing), ("not used", self.unexpected)):
            modules: dict[str, int] = {}
            for key in keys:
                module = key.rpartition(".")[0] or key
                modules[module] = modules.get(module, 0) + 1
            lines += [f"{title}: {len(keys)}"] if keys else []
            lines += [f"  {module:<40} {number:>3}" for module, number in modules.items()]
        for key, given, wanted in self.reshaped:
            lines.append(f"another shape: {key} is {given} in the file, {wanted} in the network")
        return "\n".join(lines)


def read_plain(path: Path, device: torch.device | str = "cpu") -> Any:
    """The tensors and plain values of a file that torch saved; nothing is executed, whatever the file holds."""
    with warnings.catch_warnings():
        # What torch has to say about foreign pickles is said by the error that follows.
        warnings.simplefilter("ignore")
        return torch.load(path, map_location=device, weights_only=True)


def read_weights(path: Path) -> dict[str, Tensor]:
    """A state dictionary from a ``.pth``/``.pt`` or ``.safetensors`` file, without unpickling objects.

    Raises
    ------
    SegevalError
        If the file is absent or holds anything else.
    """
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return dict(load_file(path))
        data = read_plain(path)
    except FileNotFoundError:
        raise SegevalError("no such file", file=path, remedy="check the path") from None
    except Exception as error:  # both readers raise whatever the bytes lead to
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:80]}"
        raise SegevalError(f"holds no weights ({reason})", file=path, remedy="give a file of tensors by name") from None
    for name in ("weights", "state_dict", "model"):
        if isinstance(data, dict) and isinstance(data.get(name), dict):
            data = data[name]
    if not isinstance(data, dict) or not all(isinstance(v, Tensor) for v in data.values()):
        raise SegevalError("holds no weights by name", file=path, remedy="give a state dictionary")
    return dict(data)


def adapt(state: Mapping[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """Bring a published dictionary to a network's names and shapes.

    A ResNet classifier's entries go to ``backbone.`` or ``backbone.body.``; a VGG classifier's first two layers become
    fc6 (7x7) and fc7 (1x1); the bias of a convolution whose counterpart has none moves into the mean of the
    normalisation that follows; three kinds of names of torchvision's first Mask R-CNN file are brought up to date.
    """
    wanted = network.state_dict()
    own = {_renamed(key.removeprefix("module.")): value for key, value in state.items()}
    for place in ("backbone.", "backbone.body."):
        if "conv1.weight" in own and f"{place}conv1.weight" in wanted:
            own = {place + key: value for key, value in own.items()}
    for source, target in (("classifier.0", "fc6"), ("classifier.3", "fc7")):
        if f"{target}.weight" in wanted and f"{source}.weight" in own and own[f"{source}.weight"].ndim == 2:
            shape = wanted[f"{target}.weight"].shape
            weight = own.pop(f"{source}.weight")
            own[f"{target}.weight"] = weight.view(weight.shape[0], -1, *shape[2:]) if _fits(weight, shape) else weight
            own[f"{target}.bias"] = own.pop(f"{source}.bias")
    for key in [k for k in own if k.startswith("features.") and k.endswith(".bias") and k not in wanted]:
        number = int(key.split(".")[1])
        mean = f"features.{number + 1}.running_mean"
        if mean in own:
            own[mean] = own[mean] - own.pop(key)
    return own


def _renamed(key: str) -> str:
    """A name of 2020's Mask R-CNN as torchvision writes it since: its convolutions moved into blocks."""
    key = re.sub(r"^(backbone\.fpn\.(?:inner|layer)_blocks\.\d)\.(weight|bias)$", r"\1.0.\2", key)
    key = re.sub(r"^rpn\.head\.conv\.(weight|bias)$", r"rpn.head.conv.0.0.\1", key)
    return re.sub(r"\bmask_head\.mask_fcn(\d)\.", lambda m: f"mask_head.{int(m[1]) - 1}.0.", key)


def _fits(weight: Tensor, shape: torch.Size) -> bool:
    return weight.numel() == shape.numel()


def load_weights(network: nn.Module, source: Path | Mapping[str, Tensor], *, strict: bool = False) -> LoadReport:
    """Set a network's weights from a file or dictionary.

    Parameters
    ----------
    network
        What is set, in place.
    source
        A file (`read_weights`), or tensors by name.
    strict
        Refuse unless every key of the network is set and none is left over.

    Returns
    -------
    LoadReport
        What was set and what not.

    Raises
    ------
    SegevalError
        If nothing fits, or `strict` and something doesn't.
    """
    given = read_weights(source) if isinstance(source, Path) else source
    file = source if isinstance(source, Path) else None
    own, wanted = adapt(given, network), network.state_dict()
    fitting = {k: v for k, v in own.items() if k in wanted and v.shape == wanted[k].shape}
    reshaped = tuple(
        (k, tuple(v.shape), tuple(wanted[k].shape))
        for k, v in own.items()
        if k in wanted and v.shape != wanted[k].shape
    )
    # Files from before torch counted batches lack the counters; nothing depends on them.
    missing = tuple(k for k in wanted if k not in own and not k.endswith("num_batches_tracked"))
    report = LoadReport(tuple(fitting), missing, tuple(k for k in own if k not in wanted), reshaped)
    if not fitting or (strict and (report.missing or report.unexpected or report.reshaped)):
        what = "; ".join(report.table().split("\n")[:12])
        raise SegevalError(f"the weights don't fit the network: {what}", file=file, remedy="take the model they are of")
    network.load_state_dict(fitting, strict=False)
    return report
