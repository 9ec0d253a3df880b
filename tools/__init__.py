"""Development tools, not shipped: validation against known answers and benchmarks of the generator."""
