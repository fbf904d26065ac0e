"""Instances from a network that knows classes of pixels only, one of them where objects touch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from segeval.errors import SegevalError
from segeval.samples.mask_runs import runs_of_map
from segeval.samples.taxonomy import Taxonomy
from segeval_baselines.checkpoints.checkpoint import Checkpoint
from segeval_baselines.data.object_labels import BORDER
from segeval_baselines.data.objects import thing_positions
from segeval_baselines.prediction.inference import WHOLE, Predictor, View
from segeval_baselines.prediction.object_inference import Found
from segeval_baselines.prediction.watershed import separate


@dataclass(frozen=True)
class SeparatingPredictor:
    """A semantic network whose regions are cut into instances.

    Parameters
    ----------
    predictor
        The network.
    taxonomy
        Its classes: things, background, and the border between objects.
    method
        ``components`` or ``watershed`` (`watershed.separate`).
    view
        How images are shown to the network.
    """

    predictor: Predictor
    taxonomy: Taxonomy
    method: str = "watershed"
    view: View = WHOLE

    @classmethod
    def of(
        cls, checkpoint: Checkpoint, device: torch.device | str, method: str = "watershed", view: View = WHOLE
    ) -> SeparatingPredictor:
        """From a checkpoint.

        Raises
        ------
        SegevalError
            If its classes hold no border between objects.
        """
        if checkpoint.taxonomy.things is None or BORDER not in checkpoint.taxonomy.names:
            text = f"the network {checkpoint.model} was not trained to separate objects"
            raise SegevalError(text, remedy="train unet --preset nuclei on nuclei:PATH or instances:PATH")
        return cls(Predictor.of(checkpoint, device), checkpoint.taxonomy, method, view)

    def instances(self, image: NDArray[np.uint8]) -> Found:
        """The instances of an image (H, W, 3), best first; none overlap."""
        found = self.view.probabilities(self.predictor.scores(image, self.view))
        shares: NDArray[np.float32] = found.to(torch.float32).cpu().numpy()
        places = thing_positions(self.taxonomy)
        cut = separate(shares[places], shares[self.taxonomy.names.index(BORDER)], self.method)
        order = np.argsort(-cut.scores, kind="stable")
        number = np.zeros(len(order) + 1, np.int32)
        number[order + 1] = np.arange(1, len(order) + 1)
        top = number[cut.ids]
        _, runs = runs_of_map(top)
        _, boxes = runs.measure()
        boxes[:, 2:] += boxes[:, :2]
        texts = tuple(str(runs.compressed(k)["counts"]) for k in range(len(order)))
        ids = np.array([self.taxonomy.ids[k] for k in places], np.int64)
        return Found(
            ids[cut.labels[order] - 1], cut.scores[order].astype(np.float32), boxes.astype(np.float32), texts, top
        )
