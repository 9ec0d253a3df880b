"""Compare two versions of the same code: timed interleaved, in live processes on one core, against a git ref."""
