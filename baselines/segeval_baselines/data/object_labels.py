"""Objects as label maps, for networks that know classes of pixels only: background, inside, and where objects touch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segeval.samples.taxonomy import Taxonomy
from segeval_baselines.data.object_truth import numbered
from segeval_baselines.data.objects import ObjectSamples, thing_positions
from segeval_baselines.data.samples import VOID, Sample

BORDER = "border"
"""The name of the class of pixels where objects touch."""


@dataclass(frozen=True)
class ObjectLabels:
    """A split with objects as label maps.

    Parameters
    ----------
    objects
        The split. Its things keep their class ids. The background comes first and takes the least id that is free; the
        last class, with the next free one, are the pixels where two objects touch: without it touching objects would
        be one region.
    """

    objects: ObjectSamples

    @property
    def name(self) -> str:
        """For reports."""
        return self.objects.name

    @property
    def taxonomy(self) -> Taxonomy:
        """Background, the things, and their border."""
        known = self.objects.taxonomy
        places = thing_positions(known)
        ids, names = [known.ids[k] for k in places], [known.names[k] for k in places]
        first, last = [i for i in range(len(ids) + 2) if i not in ids][:2]
        things = (False, *(True for _ in names), False)
        return Taxonomy((first, *ids, last), ("background", *names, BORDER), things)

    def keys(self) -> Sequence[str]:
        """Those of the objects."""
        return self.objects.keys()

    def load(self, key: str) -> Sample:
        """An image, its labels, and the number of each pixel's object, 0 where none is or where objects touch."""
        sample = self.objects.load(key)
        real = sample._replace(masks=sample.masks[~sample.crowd], labels=sample.labels[~sample.crowd])
        ids = numbered(real)
        labels = np.append(0, real.labels)[ids].astype(np.uint8)
        border = touching(ids)
        labels[border] = len(self.taxonomy) - 1
        if sample.crowd.any():
            labels[sample.masks[sample.crowd].any(axis=0) & (ids == 0)] = VOID
        return Sample(sample.image, labels, np.where(border, 0, ids).astype(np.int32))


def touching(ids: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Which pixels (H, W) of an object have a pixel of another one among their four neighbours."""
    out = np.zeros(ids.shape, bool)
    for a, b in ((np.s_[:, 1:], np.s_[:, :-1]), (np.s_[1:], np.s_[:-1])):
        meet = (ids[a] != ids[b]) & (ids[a] != 0) & (ids[b] != 0)
        out[a] |= meet
        out[b] |= meet
    return out
