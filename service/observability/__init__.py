"""Metrics, logs and dashboards of the service."""
