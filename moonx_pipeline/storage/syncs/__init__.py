"""The stored side of syncs: claims, operations, events, workers."""
