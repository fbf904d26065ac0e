"""The architectures, one file a paper."""
