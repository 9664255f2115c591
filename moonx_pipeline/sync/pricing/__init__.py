"""Names and prices of tokens: plans which sources to ask, asks them, and interprets the answers."""
