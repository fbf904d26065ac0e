"""What detectors share: proposals, heads, and the matching of anchors."""
