"""The IoU family over label maps."""
