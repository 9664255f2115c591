"""Requests for syncs, from the wish to the run."""
