"""Panoptic quality over segments."""
