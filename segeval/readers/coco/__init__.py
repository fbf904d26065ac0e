"""Readers of COCO files."""
