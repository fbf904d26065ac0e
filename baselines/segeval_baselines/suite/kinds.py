"""What each task's members read, write and are scored by."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from segeval.conversion import instances_to_semantic, panoptic_to_semantic
from segeval.results.result import Result
from segeval.samples.pairs import Key
from segeval.scoring.evaluation import score
from segeval_baselines.checkpoints.checkpoint import Checkpoint
from segeval_baselines.data.samples import Split
from segeval_baselines.data.splits import OPENERS
from segeval_baselines.prediction.folders import FILES, predict_folder
from segeval_baselines.prediction.outputs import Outputs, read_image_ids
from segeval_baselines.prediction.references import predict_reference
from segeval_baselines.suite.export import (
    Exported,
    export_labels,
    export_objects,
    fingerprint_of_labels,
    fingerprint_of_objects,
)
from segeval_baselines.suite.form import DataSet

LEAST_SCORE = 0.5
"""Instances below this score are no part of a converted label map."""

LABEL_MAPS = "semantic"
"""The task in which all meet: the predictions of the others become label maps."""


@dataclass(frozen=True)
class Kind:
    """A task, as a suite needs it.

    Parameters
    ----------
    task
        Its name.
    title
        Its name on a page.
    fingerprint
        A hash of what a split holds.
    export
        Writes a split below a folder under a name, as images and truth.
    options
        How predictions are scored, besides the paths and the task.
    image_ids
        What images are called in the predictions; by their names where None.
    label_maps
        Writes the predictions into a folder as label maps, given what is scored; None where they are.
    stuff
        Whether as label maps they hold every class.
    """

    task: str
    title: str
    fingerprint: Callable[[Any], str]
    export: Callable[[Any, Path, str], Exported]
    options: Callable[[Exported], dict[str, Any]]
    image_ids: Callable[[Path], Mapping[str, Key]] | None = None
    label_maps: Callable[[Path, Path, Exported], object] | None = None
    stuff: bool = True

    def open(self, data: DataSet, split: str) -> Split[Any]:
        """A split of a data set."""
        return OPENERS[self.task](data.spec, split, data.classes)

    def predict(self, checkpoint: Checkpoint, scored: Exported, out: Path, device: str, method: str) -> None:
        """Predict the exported images; what is done already is left alone.

        `method` cuts a semantic network's regions into instances; it is empty where the network has its task's form.
        """
        outputs = self._outputs(scored, out)
        predict_folder(checkpoint, scored.images, outputs, method=method or None, device=device)

    def refer(self, reference: str, data: DataSet, scored: Exported, out: Path) -> None:
        """Predict them with a reference."""
        predict_reference(reference, self.open(data, "train"), scored.images, self._outputs(scored, out))

    def is_predicted(self, scored: Exported, out: Path) -> bool:
        """Whether the predictions of all images are there."""
        files = FILES[self.task](Outputs(out))
        done = all(path.is_file() for key in scored.keys for path in files.of_image(key))
        return done and self.prediction(out).exists()

    def prediction(self, out: Path) -> Path:
        """What is scored of a folder of predictions."""
        return out / FILES[self.task](Outputs(out)).scored

    def _outputs(self, scored: Exported, out: Path) -> Outputs:
        return Outputs(out, image_ids=None if self.image_ids is None else self.image_ids(scored.truth))


def _classes(scored: Exported) -> dict[str, Any]:
    return {"classes": str(scored.classes)}


def _more_detections(scored: Exported) -> dict[str, Any]:
    # The usual cut of 100 detections an image would leave objects of a crowded one without a chance.
    return {"max_dets": (1, 10, 100, scored.most_objects)} if scored.most_objects > 100 else {}


def _instances_as_labels(prediction: Path, folder: Path, scored: Exported) -> None:
    instances_to_semantic(prediction, folder, gt=scored.truth, min_score=LEAST_SCORE, workers=1)


def _panoptic_as_labels(prediction: Path, folder: Path, scored: Exported) -> None:
    panoptic_to_semantic(prediction, folder, workers=1)


_OF_ALL = (
    Kind(LABEL_MAPS, "Semantic", fingerprint=fingerprint_of_labels, export=export_labels, options=_classes),
    Kind(
        "instance",
        "Instances",
        fingerprint=fingerprint_of_objects,
        export=partial(export_objects, file="instances.json"),
        options=_more_detections,
        image_ids=read_image_ids,
        label_maps=_instances_as_labels,
        stuff=False,
    ),
    Kind(
        "panoptic",
        "Panoptic",
        fingerprint=fingerprint_of_objects,
        export=partial(export_objects, file="panoptic.json"),
        options=lambda scored: {},
        image_ids=read_image_ids,
        label_maps=_panoptic_as_labels,
    ),
)

KINDS = {kind.task: kind for kind in _OF_ALL}


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
        name = f"{self.data.name}-{self.data.score}"
        return self.kind.export(self.kind.open(self.data, self.data.score), self.root / "data", name)

    @cached_property
    def prints(self) -> dict[str, str]:
        """The fingerprints counted so far."""
        return {}

    def fingerprint(self, split: str = "") -> str:
        """Of one split; of the scored one if none is named. Counted when it is first asked for."""
        split = split or self.data.score
        if split not in self.prints:
            self.prints[split] = self.kind.fingerprint(self.kind.open(self.data, split))
        return self.prints[split]


def scored_by(task: str, prediction: Path, truth: Path, **options: Any) -> Result:
    """A score with the command that makes it again."""
    result = score(prediction, truth, task=task, workers=1, **options)
    words = ["segeval", "score", "--task", task, "--pred", str(prediction), "--gt", str(truth)]
    for name, value in options.items():
        values = [str(v) for v in value] if isinstance(value, tuple) else [str(value)]
        words += ["--" + name.replace("_", "-"), *values]
    return result.with_(provenance={**result.provenance, "command": shlex.join(words)})
