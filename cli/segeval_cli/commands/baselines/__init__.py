"""The commands of the baseline networks."""
