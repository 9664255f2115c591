"""Requests for syncs, from asking to the Dagster run."""
