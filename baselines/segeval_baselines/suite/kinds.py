"""What each task's members read, write and are scored by."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from segeval.results.result import Result
from segeval.scoring.evaluation import score
from segeval_baselines.checkpoints.checkpoint import Checkpoint
from segeval_baselines.data.objects import ObjectSamples
from segeval_baselines.data.samples import IMAGE_EXTENSIONS, Samples, files_by_stem
from segeval_baselines.data.splits import open_objects, open_split
from segeval_baselines.prediction.inference import WHOLE, Predictor
from segeval_baselines.prediction.labels import Outputs, predict_folder
from segeval_baselines.prediction.object_inference import ObjectPredictor
from segeval_baselines.prediction.objects import ObjectOutputs, predict_objects, read_image_ids
from segeval_baselines.prediction.references import predict_object_reference, predict_reference
from segeval_baselines.prediction.separation import SeparatingPredictor
from segeval_baselines.suite.export import Exported, export, export_objects, fingerprint, fingerprint_of_objects
from segeval_baselines.suite.form import DataSet

One = Callable[[NDArray[np.uint8]], object]


class Kind(Protocol):
    """A task, as a suite needs it."""

    def fingerprint(self, data: DataSet, split: str) -> str:
        """A hash of what a split holds."""
        ...

    def export(self, data: DataSet, folder: Path) -> Exported:
        """The split that is scored, as files below a folder."""
        ...

    def predict(self, checkpoint: Checkpoint, scored: Exported, out: Path, device: str, method: str) -> None:
        """Predict the exported images; what is done already is left alone.

        `method` cuts a semantic network's regions into instances; it is empty where the network has its task's form.
        """
        ...

    def refer(self, reference: str, data: DataSet, scored: Exported, out: Path) -> None:
        """Predict them with a reference."""
        ...

    def is_predicted(self, scored: Exported, out: Path) -> bool:
        """Whether the predictions of all images are there."""
        ...

    def prediction(self, out: Path) -> Path:
        """What is scored of a folder of predictions."""
        ...

    def options(self, scored: Exported) -> dict[str, Any]:
        """How it is scored, besides the paths and the task."""
        ...

    def one(self, checkpoint: Checkpoint, device: str, method: str) -> tuple[One, Any]:
        """What predicts one image, and its network."""
        ...


class SemanticKind:
    """Label maps."""

    def fingerprint(self, data: DataSet, split: str) -> str:
        return fingerprint(self._opened(data, split))

    def export(self, data: DataSet, folder: Path) -> Exported:
        return export(self._opened(data, data.score), folder, f"{data.name}-{data.score}")

    def predict(self, checkpoint: Checkpoint, scored: Exported, out: Path, device: str, method: str) -> None:
        predict_folder(checkpoint, scored.images, Outputs(out), view=WHOLE, device=device)

    def refer(self, reference: str, data: DataSet, scored: Exported, out: Path) -> None:
        train = self._opened(data, "train")
        predict_reference(reference, train, files_by_stem(scored.images, IMAGE_EXTENSIONS), train.taxonomy, out)

    def is_predicted(self, scored: Exported, out: Path) -> bool:
        return all((out / f"{key}.png").is_file() for key in scored.keys)

    def prediction(self, out: Path) -> Path:
        return out

    def options(self, scored: Exported) -> dict[str, Any]:
        return {"classes": str(scored.classes)}

    def one(self, checkpoint: Checkpoint, device: str, method: str) -> tuple[One, Any]:
        predictor = Predictor.of(checkpoint, device)
        return predictor.labels, predictor.network

    def _opened(self, data: DataSet, split: str) -> Samples:
        return open_split(data.spec, split, data.classes)


class ObjectKind:
    """Instances, or panoptic maps."""

    def __init__(self, task: str) -> None:
        self.task = task

    def fingerprint(self, data: DataSet, split: str) -> str:
        return fingerprint_of_objects(self._opened(data, split))

    def export(self, data: DataSet, folder: Path) -> Exported:
        name = f"{data.name}-{data.score}-objects"
        return export_objects(self._opened(data, data.score), folder, name, self.task)

    def predict(self, checkpoint: Checkpoint, scored: Exported, out: Path, device: str, method: str) -> None:
        outputs = self._outputs(scored, out)
        predict_objects(checkpoint, scored.images, outputs, method=method or None, device=device)

    def refer(self, reference: str, data: DataSet, scored: Exported, out: Path) -> None:
        files = files_by_stem(scored.images, IMAGE_EXTENSIONS)
        predict_object_reference(reference, self._opened(data, "train"), files, self._outputs(scored, out))

    def is_predicted(self, scored: Exported, out: Path) -> bool:
        folder = out / "panoptic"
        if not self.prediction(out).is_file():
            return False
        return self.task != "panoptic" or all((folder / f"{key}.png").is_file() for key in scored.keys)

    def prediction(self, out: Path) -> Path:
        return out / ("results.json" if self.task == "instance" else "panoptic.json")

    def options(self, scored: Exported) -> dict[str, Any]:
        # The usual cut of 100 detections an image would leave objects of a crowded one without a chance.
        crowded = self.task == "instance" and scored.most_objects > 100
        return {"max_dets": (1, 10, 100, scored.most_objects)} if crowded else {}

    def one(self, checkpoint: Checkpoint, device: str, method: str) -> tuple[One, Any]:
        if method:
            separating = SeparatingPredictor.of(checkpoint, device, method)
            return separating.instances, separating.predictor.network
        predictor = ObjectPredictor.of(checkpoint, device)
        return (predictor.instances if self.task == "instance" else predictor.panoptic), predictor.network

    def _outputs(self, scored: Exported, out: Path) -> ObjectOutputs:
        return ObjectOutputs(out, image_ids=read_image_ids(scored.truth))

    def _opened(self, data: DataSet, split: str) -> ObjectSamples:
        return open_objects(data.spec, split, data.classes)


KINDS: dict[str, Kind] = {
    "semantic": SemanticKind(),
    "instance": ObjectKind("instance"),
    "panoptic": ObjectKind("panoptic"),
}


@dataclass(frozen=True)
class Splits:
    """The splits of a data set as members of one task use them.

    Parameters
    ----------
    data
        The data set.
    root
        The suite's folder; what is scored is exported to ``data/`` in it.
    task
        Says how they are read.
    """

    data: DataSet
    root: Path
    task: str

    @property
    def kind(self) -> Kind:
        """What the task reads and writes."""
        return KINDS[self.task]

    @cached_property
    def scored(self) -> Exported:
        """The split that is scored, as folders."""
        return self.kind.export(self.data, self.root / "data")

    @cached_property
    def prints(self) -> dict[str, str]:
        """The fingerprints counted so far."""
        return {}

    def fingerprint(self, split: str = "") -> str:
        """Of one split; of the scored one if none is named. Counted when it is first asked for."""
        split = split or self.data.score
        if split not in self.prints:
            self.prints[split] = self.kind.fingerprint(self.data, split)
        return self.prints[split]


def scored_by(task: str, prediction: Path, truth: Path, **options: Any) -> Result:
    """A score with the command that makes it again."""
    result = score(prediction, truth, task=task, workers=1, **options)
    words = ["segeval", "score", "--task", task, "--pred", str(prediction), "--gt", str(truth)]
    for name, value in options.items():
        values = [str(v) for v in value] if isinstance(value, tuple) else [str(value)]
        words += ["--" + name.replace("_", "-"), *values]
    return result.with_(provenance={**result.provenance, "command": shlex.join(words)})
