"""Suites: from a small TOML to a leaderboard, resumable at any point."""
