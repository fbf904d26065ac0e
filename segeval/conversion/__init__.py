"""Conversions between the forms of segmentations: labels, instances, panoptic maps."""

from segeval.conversion.converting import Conversion, convert
from segeval.conversion.merging import Merging
from segeval.conversion.shortcuts import (
    instances_to_panoptic,
    instances_to_semantic,
    panoptic_to_instances,
    panoptic_to_semantic,
)

__all__ = [
    "Conversion",
    "Merging",
    "convert",
    "instances_to_panoptic",
    "instances_to_semantic",
    "panoptic_to_instances",
    "panoptic_to_semantic",
]
