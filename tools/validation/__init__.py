"""Validation of this harness: questions with known answers, measured and published by `python -m tools.validation`.

Each module directly in this folder that has a `TITLE` is a question, and its `run(effort) -> Section` tries it; the folder is the
registry. `effort` 1.0 is what is published; a smaller one takes that share of the time.
"""
