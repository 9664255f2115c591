"""What users and their pages talk to: the API, the live connection, and the page itself."""
