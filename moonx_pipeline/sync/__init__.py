"""The core: open, fetch, price, value, persist. Knows nothing of Dagster."""
