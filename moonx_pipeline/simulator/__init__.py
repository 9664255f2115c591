"""Simulates the data providers' documented HTTP, with a deterministic world and their faults."""
