"""Images with labels or objects, opened, augmented and described."""
