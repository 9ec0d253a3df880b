"""What can be counted beside time: one probe a file, each a context manager."""
