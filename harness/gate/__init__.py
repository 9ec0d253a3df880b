"""Passes or fails a candidate against a baseline."""
