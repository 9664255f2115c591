"""Requests for syncs: their queue, their dispatch, their states."""
