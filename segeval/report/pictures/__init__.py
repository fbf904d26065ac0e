"""Pictures of label maps and instances for the page."""
