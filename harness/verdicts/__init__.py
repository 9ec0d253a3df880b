"""From measurements to verdicts: pure functions, no clock, no files."""
