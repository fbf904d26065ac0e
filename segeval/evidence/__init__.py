"""Rows of exact statistics keyed by image, which add."""
