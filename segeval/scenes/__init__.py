"""Synthetic street scenes, for the demo, tests, tutorials and small training runs.

`make_scene` needs numpy alone. `segeval.scenes.writers` puts scenes on disk in every form that is scored, and
`segeval.scenes.models` imagines two models' predictions of them.
"""

from segeval.scenes.canvas import CLASSES, VOID, Segment
from segeval.scenes.street import Scene, make_scene

__all__ = ["CLASSES", "VOID", "Scene", "Segment", "make_scene"]
