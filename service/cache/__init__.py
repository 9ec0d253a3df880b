"""Caches of the service."""
