"""One module a data provider: its HTTP, its data formats, its errors; none of our rules."""
