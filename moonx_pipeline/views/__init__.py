"""Stored data as users and other systems see it."""
