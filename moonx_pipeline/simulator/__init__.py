"""The data providers' documented HTTP, with a deterministic world and every fault they have."""
