"""The tasks and the rule that scores each."""

from __future__ import annotations

import difflib
from typing import Any

from segeval.errors import SegevalError
from segeval.instance import InstanceAP
from segeval.metric import rule_from_dict
from segeval.panoptic import PanopticQuality
from segeval.semantic import SemanticIoU

TASKS: dict[str, type] = {
    "semantic": SemanticIoU,
    "instance": InstanceAP,
    "panoptic": PanopticQuality,
}


def rule_of(task: str) -> type:
    """The rule of a task.

    Raises
    ------
    SegevalError
        Suggesting the nearest name.
    """
    if task in TASKS:
        return TASKS[task]
    near = difflib.get_close_matches(task, TASKS, 1)
    guess = f"did you mean {near[0]}?" if near else f"give one of {', '.join(TASKS)}"
    raise SegevalError(f"{task!r} is no task", remedy=guess)


def saved_rule(data: dict[str, Any]) -> Any:
    """The rule that a saved run was made with."""
    return rule_from_dict(rule_of(str(data.get("task"))), data)
