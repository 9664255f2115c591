-- Runs with code from: 0013.traces
-- Users of a batch hold the same tokens: what was known of those is kept once for all of them. It names no user.
-- After a rollback, the code before it can't explain the syncs that newer code stored.

CREATE TABLE batch_evidence (
    id        uuid PRIMARY KEY,
    stored_at timestamptz NOT NULL,
    tokens    bytea NOT NULL
);

-- It is compressed already.
ALTER TABLE batch_evidence ALTER COLUMN tokens SET STORAGE EXTERNAL;

CREATE INDEX batch_evidence_stored ON batch_evidence USING brin (stored_at);

ALTER TABLE sync_evidence ADD COLUMN batch_id uuid;

-- What is kept of a user is small now: PostgreSQL compresses it where that is worth it.
ALTER TABLE sync_evidence ALTER COLUMN evidence SET STORAGE EXTENDED;

COMMENT ON COLUMN batch_evidence.tokens IS 'JSON, compressed by zlib.';
COMMENT ON COLUMN sync_evidence.batch_id IS 'Where the evidence of its tokens is; NULL if they are in its own, which is compressed then.';
COMMENT ON COLUMN sync_evidence.evidence IS 'JSON; compressed by zlib if it has no batch.';
