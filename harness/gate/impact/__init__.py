"""Which benchmarks a change can have touched at all: recorded in both versions, compared, and timed only if anything differs."""
