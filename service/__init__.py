"""The system on trial: the review's prompt service, one file an optimisation, each holding its techniques side by side."""
