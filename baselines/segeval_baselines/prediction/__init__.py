"""From a trained network to files that the readers read."""
