"""Validation of response times under load: a server with known times, and the tools that send it requests."""
