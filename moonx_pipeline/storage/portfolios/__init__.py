"""Users, their holdings, and their portfolios as shown."""
