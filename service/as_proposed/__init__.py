"""The review's code, as it was proposed."""
