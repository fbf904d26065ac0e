"""Losses over the borders of regions."""
