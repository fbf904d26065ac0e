"""The demo's synthetic street scenes as data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from segeval.samples.pairs import Key
from segeval.samples.taxonomy import Taxonomy
from segeval_baselines.data.objects import ObjectSample, thing_labels
from segeval_baselines.data.samples import SPLITS, VOID, Sample

if TYPE_CHECKING:
    from segeval.scenes import Scene

SCENES = {"train": 400, "val": 50, "test": 100}
"""How many scenes a split has, unless the spec says another number for ``train``."""


@dataclass(frozen=True)
class _Street:
    """Endless scenes, made from a seed.

    Parameters
    ----------
    split
        Decides the seed, so that no scene is in two splits.
    count
        How many.
    """

    split: str
    count: int

    @classmethod
    def open(cls, place: str, split: str, classes: str | None = None) -> Self:
        """``scenes[:COUNT]``: the number is that of the training scenes."""
        return cls(split, int(place) if place and split == "train" else SCENES[split])

    @property
    def name(self) -> str:
        """For reports."""
        return f"scenes {self.split}"

    @property
    def taxonomy(self) -> Taxonomy:
        """The scenes' classes."""
        from segeval.scenes import CLASSES

        return CLASSES

    def keys(self) -> Sequence[str]:
        """Numbers, as text."""
        return [f"{k:04d}" for k in range(self.count)]

    def draw(self, key: str) -> tuple[Scene, NDArray[np.uint8]]:
        """A scene, and the position of the class of each of its pixels."""
        from segeval.scenes import make_scene

        scene = make_scene(int(key), seed=1000 + SPLITS.index(self.split))
        positions = np.full(scene.labels.shape, VOID, np.uint8)
        for position, value in enumerate(self.taxonomy.ids):
            positions[scene.labels == value] = position
        return scene, positions


class Scenes(_Street):
    """The scenes as label maps."""

    def load(self, key: str) -> Sample:
        """Draw a scene."""
        scene, positions = self.draw(key)
        return Sample(scene.image, positions)


class ObjectScenes(_Street):
    """The same scenes with their things and crowds."""

    def image_ids(self) -> Mapping[str, Key | None]:
        """The numbers."""
        return {key: int(key) for key in self.keys()}

    def load(self, key: str) -> ObjectSample:
        """Draw a scene."""
        scene, positions = self.draw(key)
        label = thing_labels(self.taxonomy)
        things = [s for s in scene.segments if s.isthing]
        masks = scene.ids == np.array([s.id for s in things], np.int32)[:, None, None]
        labels = np.array([label[s.category] for s in things], np.int64)
        return ObjectSample(scene.image, masks, labels, np.array([s.iscrowd for s in things], bool), positions)
