"""Probes that count work or measure memory: one per file, each a context manager."""
