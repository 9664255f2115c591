-- Runs with code from: 0013.traces
-- transactional: false
-- Finds what can be packed. Rows go on being written while it is built; what a failed try left is replaced.

DROP INDEX IF EXISTS outbox_events_published;
CREATE INDEX CONCURRENTLY outbox_events_published ON outbox_events (key, seq) WHERE published_at IS NOT NULL;

DROP INDEX IF EXISTS sync_operations_swept;
CREATE INDEX CONCURRENTLY sync_operations_swept ON sync_operations (user_id, started_at)
    WHERE type = 'sweep' AND request_id IS NULL AND status IN ('completed', 'partial', 'failed');
