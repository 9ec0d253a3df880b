"""Servers started for a run, each in a process that never outlives it."""
