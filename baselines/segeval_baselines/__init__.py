"""Baseline networks."""
