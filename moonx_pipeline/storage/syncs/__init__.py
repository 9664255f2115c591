"""What a sync reads and writes: claims, operations, events, workers."""
