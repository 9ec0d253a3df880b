"""Old against new: two versions of the same code timed in turn, in live processes on one core, against a git ref.

`paired.compare` does it for any two commands that speak `channel`. `channel`, `driver`, `pytest_side` and `launch` run inside the
sides, by path, with the standard library and what the side's own tree has: nothing of this tree's harness may be imported there.
"""
