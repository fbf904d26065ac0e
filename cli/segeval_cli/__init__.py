"""The `segeval` command."""
