"""What is known about tokens: evidence, metadata, the registry."""
