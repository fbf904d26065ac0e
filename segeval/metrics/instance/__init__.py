"""Average precision over scored instances."""
