"""Saved runs beside each other."""
