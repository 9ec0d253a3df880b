"""Measuring: who runs when, in which process, and what is read from the clock and the kernel."""
