"""Circuit breakers and rate limits as syncs use them."""
