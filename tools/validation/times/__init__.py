"""A workload with injected slowdowns, its recorder, and the rules of other tools."""
