"""Courses that train a network and keep its history."""
