"""Attempts to break this harness, made and published by `python -m tools.chaos`.

Every module with a TITLE is a kind of attempt. Exits with 1 if a requirement is missed. Bounded: in full it takes minutes.
"""
