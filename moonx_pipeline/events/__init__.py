"""From the outbox to those who listen: relay, Kafka, replay, the published schemas."""
