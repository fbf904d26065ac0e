"""Where bytes come from and go: files, JSON, archives and addresses."""
