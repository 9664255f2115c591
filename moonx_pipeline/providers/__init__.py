"""One module a data provider: its HTTP, its shapes, its errors; nothing of ours."""
