"""What the question about exact work counts."""
