"""The first scenario of a project: find what there is to measure, and write files that run as they are."""
