"""Compiled loops that count what two labelings share."""
