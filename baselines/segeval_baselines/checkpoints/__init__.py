"""Trained weights: kept, published and bundled."""
