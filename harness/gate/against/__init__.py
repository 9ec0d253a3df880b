"""Compare two versions of the same code: timed interleaved, in live processes on one core, against a git ref.

`compare.compare` does it for any two commands that speak `protocol`. `protocol`, `scenario_worker` and `pytest_worker` run inside
the versions, by path, with the standard library and what the version's own tree has: nothing of this tree's harness may be imported
there.
"""
