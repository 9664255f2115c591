"""The fetch stage: reads balances, with fallbacks."""
