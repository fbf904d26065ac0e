"""Readers: one file per format, and the recognition of formats."""
