"""The service at the edge."""
