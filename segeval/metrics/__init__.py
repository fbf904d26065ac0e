"""The rules: what each observes, and how it scores what it saw."""
