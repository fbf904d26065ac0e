"""Compiled loops on plain arrays; the only home of numba.

Kernels are private and trust their arguments: every public entry validates first.
"""
