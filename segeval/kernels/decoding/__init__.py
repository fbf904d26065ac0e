"""Compiled loops that decode files: PNG, JSON, RLE and polygons."""
