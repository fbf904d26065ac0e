"""Checkpoints: what a network needs to predict, and what training needs to go on; nothing is unpickled.

A ``.pt`` file holds plain values and tensors (``torch.load(weights_only=True)`` reads it); a ``.safetensors`` file
holds the weights alone, with the rest as JSON in its header. The package's own small networks are of the second kind.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from segeval.errors import SegevalError
from segeval.samples.taxonomy import Taxonomy
from segeval.storage.files import write_atomic
from segeval.version import __version__
from segeval_baselines.checkpoints.weights import read_plain
from segeval_baselines.recipes import Recipe
from segeval_baselines.zoo import build

FORMAT = 1
BUNDLED = Path(__file__).parents[1] / "bundled"
_DAMAGED = "train again, or take another checkpoint"


@dataclass(frozen=True)
class Checkpoint:
    """A trained network.

    Attributes
    ----------
    model, preset, options
        What `zoo.build` made it of.
    taxonomy
        The classes that its channels stand for.
    mean, std
        Of the RGB values in [0, 1] that the network was trained with.
    recipe
        How it was trained; `image_scale` also says how images are resized before prediction.
    weights
        The state dictionary.
    training
        What resuming needs; empty in files that are only meant to predict.
    notes
        Where it comes from: data, seed, budget, validation.
    version
        Of segeval.
    """

    model: str
    preset: str
    options: Mapping[str, Any]
    taxonomy: Taxonomy
    mean: tuple[float, ...]
    std: tuple[float, ...]
    recipe: Recipe
    weights: Mapping[str, Tensor]
    training: Mapping[str, Any] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)
    version: str = __version__

    def network(self, device: torch.device | str = "cpu") -> nn.Module:
        """The network with its weights, in eval mode."""
        model = build(self.model, self.taxonomy, self.preset, self.options)
        try:
            model.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in self.weights.items()})
        except RuntimeError as error:
            reason = " ".join(str(error).split())[:160]
            raise SegevalError(f"the weights don't fit {self.model} ({reason})", remedy=_DAMAGED) from None
        return model.to(device).eval()

    def header(self) -> dict[str, Any]:
        """Everything but tensors, as plain values."""
        return {
            "format": FORMAT,
            "segeval": self.version,
            "model": self.model,
            "preset": self.preset,
            "options": dict(self.options),
            "classes": self.taxonomy.to_dict(),
            "mean": list(self.mean),
            "std": list(self.std),
            "recipe": self.recipe.to_dict(),
            "notes": dict(self.notes),
        }

    def save(self, path: Path) -> Path:
        """Write the checkpoint, all or nothing; the extension says which kind."""
        if path.suffix == ".safetensors":
            from safetensors.torch import save

            tensors = {k: v.detach().cpu().contiguous() for k, v in self.weights.items()}
            return write_atomic(path, save(tensors, {"segeval": json.dumps(self.header())}))
        content = {**self.header(), "weights": dict(self.weights), "training": dict(self.training)}
        return write_atomic(path, lambda stream: torch.save(content, stream))


def load_checkpoint(path: str | Path, device: torch.device | str = "cpu") -> Checkpoint:
    """Read a checkpoint.

    Parameters
    ----------
    path
        The file, a training's folder (its ``best.pt``, else ``last.pt``), or ``NAME-demo`` for a bundled one.
    device
        Where the tensors go.

    Raises
    ------
    SegevalError
        If there is none, or it is of another kind.

    Examples
    --------
    >>> from segeval_baselines import load
    >>> checkpoint = load("unet-demo")
    >>> checkpoint.taxonomy.names[:2]
    ('road', 'sidewalk')
    >>> network = checkpoint.network("cpu")
    """
    file = _find(path)
    try:
        if file.suffix == ".safetensors":
            header, weights, training = _read_safetensors(file)
        else:
            data = read_plain(file, device)
            header, weights, training = data, data["weights"], data.get("training", {})
        if header["format"] != FORMAT:
            raise SegevalError(
                f"has format {header['format']}, not {FORMAT}",
                file=file,
                remedy="use the version of segeval that wrote it",
            )
        return Checkpoint(
            model=header["model"],
            preset=header["preset"],
            options=header["options"],
            taxonomy=Taxonomy.from_dict(header["classes"]),
            mean=tuple(header["mean"]),
            std=tuple(header["std"]),
            recipe=Recipe.from_dict(header["recipe"]),
            weights=weights,
            training=training,
            notes=header["notes"],
            version=header["segeval"],
        )
    except SegevalError:
        raise
    except Exception as error:  # the readers of both kinds raise whatever their bytes lead to
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:100]}"
        raise SegevalError(f"is no checkpoint of segeval ({reason})", file=file, remedy=_DAMAGED) from None


def bundled() -> dict[str, Path]:
    """The networks that come with the package, by name."""
    return {f"{path.stem}-demo": path for path in sorted(BUNDLED.glob("*.safetensors"))}


def _find(path: str | Path) -> Path:
    if str(path) in bundled():
        return bundled()[str(path)]
    file = Path(path)
    if file.is_dir():
        found = [file / name for name in ("best.pt", "last.pt") if (file / name).is_file()]
        if not found:
            raise SegevalError("holds no best.pt or last.pt", file=file, remedy="train first")
        return found[0]
    if not file.is_file():
        raise SegevalError("no such checkpoint", file=file, remedy=f"give a file, or {', '.join(bundled()) or 'train'}")
    return file


def _read_safetensors(file: Path) -> tuple[dict[str, Any], dict[str, Tensor], dict[str, Any]]:
    from safetensors import safe_open

    with safe_open(file, framework="pt") as opened:
        header = json.loads((opened.metadata() or {})["segeval"])
        return header, {key: opened.get_tensor(key) for key in opened.keys()}, {}
