"""segeval: the referee for image segmentation."""

from segeval.version import __version__

__all__ = ["__version__"]
