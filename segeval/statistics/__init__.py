"""Intervals and significance from reweighted images."""
