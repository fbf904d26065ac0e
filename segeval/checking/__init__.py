"""What scoring would meet, said without scores."""
