"""Readers of folders of label maps."""
