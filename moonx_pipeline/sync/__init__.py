"""The sync pipeline: open, fetch, value, store. Knows nothing of Dagster."""
