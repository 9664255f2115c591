"""The gateway: API, live connection and page for users."""
