"""The fetch stage: balances, by one way or another."""
