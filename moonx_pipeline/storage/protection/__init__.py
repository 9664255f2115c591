"""Circuit breakers and rate limits, shared by all workers."""
