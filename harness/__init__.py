"""Puts performance advice on trial: arms measured in interleaved pairs, verdicts with intervals.

The names a scenario file needs are imported from `harness.scenario` and `harness.verdicts.measures`. This package itself
imports nothing, so that `harness --help` answers at once.
"""
