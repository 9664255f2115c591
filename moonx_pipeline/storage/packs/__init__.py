"""Rows that are old and no longer change, many in one row and compressed."""
