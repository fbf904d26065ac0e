"""Baseline networks: built, trained, and ready to predict what `segeval.score` reads.

The names below load on first use, so that ``import segeval_baselines`` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from segeval.errors import SegevalError

if TYPE_CHECKING:
    from segeval_baselines.checkpoints.checkpoint import load_checkpoint as load
    from segeval_baselines.prediction.folders import predict
    from segeval_baselines.training.starting import train
    from segeval_baselines.zoo import MODELS, build

_HOMES = {
    "MODELS": ("zoo", "MODELS"),
    "build": ("zoo", "build"),
    "load": ("checkpoints.checkpoint", "load_checkpoint"),
    "predict": ("prediction.folders", "predict"),
    "train": ("training.starting", "train"),
}

__all__ = ["MODELS", "build", "load", "predict", "train"]


def require_torch() -> None:
    """Refuse in one line where torch is absent.

    Raises
    ------
    SegevalError
        Which says how it is installed.
    """
    try:
        import torch  # noqa: F401
    except ImportError:
        raise SegevalError("the baselines need torch", remedy="pip install 'segeval[baselines]'") from None


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'segeval_baselines' has no attribute {name!r}")
    require_torch()
    home, own = _HOMES[name]
    return getattr(importlib.import_module(f"segeval_baselines.{home}"), own)


def __dir__() -> list[str]:
    return sorted(__all__)
