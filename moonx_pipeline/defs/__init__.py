"""Dagster's view of the pipeline: wiring only, no rules."""
