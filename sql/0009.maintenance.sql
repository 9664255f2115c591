-- What the nightly maintenance needs to find what is old without reading what is not.

-- How far history is thinned already; what lies before is not read again. To thin a time anew, set it back.
CREATE TABLE history_thinning (
    resolution    text PRIMARY KEY CHECK (resolution IN ('hour', 'day')),
    thinned_until timestamptz NOT NULL
);

COMMENT ON COLUMN history_thinning.thinned_until IS 'Before it, one snapshot of a user is left for each hour or day.';

CREATE INDEX sync_operations_ended ON sync_operations (completed_at) WHERE completed_at IS NOT NULL;
CREATE INDEX sync_requests_ended ON sync_requests (completed_at) WHERE completed_at IS NOT NULL;
CREATE INDEX sync_requests_operation ON sync_requests (sync_operation_id) WHERE sync_operation_id IS NOT NULL;
