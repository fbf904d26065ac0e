"""The demo's synthetic street scenes as data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from segeval.samples.pairs import Key
from segeval.samples.taxonomy import Taxonomy
from segeval_baselines.data.objects import ObjectSample, thing_labels
from segeval_baselines.data.samples import SPLITS, VOID, Sample


@dataclass(frozen=True)
class Scenes:
    """The demo's synthetic street scenes: endless, made from a seed.

    Parameters
    ----------
    split
        Decides the seed, so that no scene is in two splits.
    count
        How many.
    """

    split: str
    count: int

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

    def load(self, key: str) -> Sample:
        """Draw a scene."""
        from segeval.scenes import make_scene

        scene = make_scene(int(key), seed=1000 + SPLITS.index(self.split))
        positions = np.full(scene.labels.shape, VOID, np.uint8)
        for position, value in enumerate(self.taxonomy.ids):
            positions[scene.labels == value] = position
        return Sample(scene.image, positions)


@dataclass(frozen=True)
class ObjectScenes:
    """The demo's synthetic street scenes with their things and crowds.

    Parameters
    ----------
    split
        Decides the seed: the scenes of `datasets.Scenes`.
    count
        How many.
    """

    split: str
    count: int

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

    def image_ids(self) -> Mapping[str, Key | None]:
        """The numbers."""
        return {f"{k:04d}": k for k in range(self.count)}

    def load(self, key: str) -> ObjectSample:
        """Draw a scene."""
        from segeval.scenes import make_scene

        scene = make_scene(int(key), seed=1000 + SPLITS.index(self.split))
        label = thing_labels(self.taxonomy)
        semantic = np.full(scene.labels.shape, VOID, np.uint8)
        for position, value in enumerate(self.taxonomy.ids):
            semantic[scene.labels == value] = position
        things = [s for s in scene.segments if s.isthing]
        masks = scene.ids == np.array([s.id for s in things], np.int32)[:, None, None]
        labels = np.array([label[s.category] for s in things], np.int64)
        return ObjectSample(scene.image, masks, labels, np.array([s.iscrowd for s in things], bool), semantic)
