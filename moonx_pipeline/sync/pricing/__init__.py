"""Names and prices of tokens: what to ask, whom, and what to make of it."""
