"""The work that the question about work counts counts."""
