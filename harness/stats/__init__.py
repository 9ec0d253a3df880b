"""Pure functions: intervals, percentiles, histograms, sequential tests."""
