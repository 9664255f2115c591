"""What operators see: gauges, overviews, invariants."""
