"""Counting where the tensors are, and adding over ranks."""
