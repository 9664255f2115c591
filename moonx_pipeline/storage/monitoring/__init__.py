"""What operators look at: gauges, overviews, invariants."""
