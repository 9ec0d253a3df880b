"""The prompt service, the system under test: one file per optimisation, each with its techniques side by side."""
