"""What tests share: drivers, servers and examples. No test imports another test."""
