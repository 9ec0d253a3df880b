"""Measures this machine's noise and the smallest change it can detect."""
