"""Paired timing, verification, work counts and memory, in fresh worker processes."""
