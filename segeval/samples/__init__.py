"""What an image is, checked: label maps, instances and panoptic maps, and the classes that they hold."""
