-- Runs with code from: 0013.traces
-- What each changed portfolio was valued by, kept with its sync, so that a total of last week can be explained today.

CREATE TABLE sync_evidence (
    sync_operation_id uuid PRIMARY KEY,
    user_id           text NOT NULL,
    stored_at         timestamptz NOT NULL,
    evidence          bytea NOT NULL
);

-- It is compressed already.
ALTER TABLE sync_evidence ALTER COLUMN evidence SET STORAGE EXTERNAL;

CREATE INDEX sync_evidence_user ON sync_evidence (user_id, stored_at);
CREATE INDEX sync_evidence_stored ON sync_evidence USING brin (stored_at);

COMMENT ON COLUMN sync_evidence.evidence IS 'JSON, compressed by zlib.';
