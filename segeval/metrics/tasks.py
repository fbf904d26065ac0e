"""The tasks and the rule that scores each."""

from __future__ import annotations

from typing import Any

from segeval import plugins
from segeval.errors import SegevalError
from segeval.metrics.instance.rule import InstanceAP
from segeval.metrics.metric import Metric
from segeval.metrics.options import rule_from_dict
from segeval.metrics.panoptic.rule import PanopticQuality
from segeval.metrics.semantic.rule import SemanticIoU
from segeval.plugins import own_or_plugin

TASKS: dict[str, type[Metric]] = {
    "semantic": SemanticIoU,
    "panoptic": PanopticQuality,
    "instance": InstanceAP,
}


def rule_of(task: str) -> type[Metric]:
    """The rule of a task: one of ours, or one that a package brings.

    Raises
    ------
    SegevalError
        Suggesting the nearest name.
    """
    found: Any = own_or_plugin(task, TASKS, plugins.TASKS, "task")
    said = getattr(found, "task", None)
    if not isinstance(found, type) or said != task or not hasattr(found, "__dataclass_fields__"):
        raise SegevalError(f"the plugin {task!r} is no rule of this task", remedy="upgrade or remove it")
    if Metric not in found.__mro__:
        raise SegevalError(
            f"the plugin {task!r} does not derive from segeval.metrics.metric.Metric", remedy="upgrade or remove it"
        )
    return found


def reads_of(task: str) -> str:
    """What a task's rule observes: the images of the ``semantic``, the ``panoptic`` or the ``instance`` task.

    Raises
    ------
    SegevalError
        As `rule_of`, and for a rule that doesn't say.
    """
    reads: str = getattr(rule_of(task), "reads", "")
    if reads not in TASKS:
        raise SegevalError(f"the rule of {task!r} reads {reads!r}", remedy=f"its `reads` must be {' or '.join(TASKS)}")
    return reads


def saved_rule(data: dict[str, Any]) -> Metric:
    """The rule that a saved run was made with."""
    made: Metric = rule_from_dict(rule_of(str(data.get("task"))), data)
    return made


def resampled(rule: type[Metric]) -> bool:
    """Whether runs of a rule have intervals and tests: whether it has a `reweighted` of its own."""
    return rule.reweighted is not Metric.reweighted
