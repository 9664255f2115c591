"""Stored data as people and other systems see it."""
