"""From paths or batches to a result."""
