-- Runs with code from: 0013.traces
-- transactional: false
-- Finds what can be packed. Events go on being written while it is built; what a failed try left is replaced.

DROP INDEX IF EXISTS outbox_events_published;
CREATE INDEX CONCURRENTLY outbox_events_published ON outbox_events (key, seq) WHERE published_at IS NOT NULL;
