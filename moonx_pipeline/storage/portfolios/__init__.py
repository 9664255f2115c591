"""Users, their holdings, and what is shown of them."""
