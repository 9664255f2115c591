-- Runs with code from: 0013.traces
-- A sweep's sync that found nothing changed leaves no operation: its user's status says when it was, and its batch has
-- one row with what such syncs took.

ALTER TABLE user_sync_status ADD COLUMN inputs_hash bytea;

COMMENT ON COLUMN user_sync_status.inputs_hash IS 'Hash of content_hash and of what the stored positions follow from; equal means nothing to value.';

ALTER TABLE sync_operations ADD COLUMN previous_sync_at timestamptz;

COMMENT ON COLUMN sync_operations.previous_sync_at IS 'The last_sync_at that it found: until then, what the operation before it stored was found unchanged.';

CREATE TABLE unchanged_syncs (
    id             uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    completed_at   timestamptz NOT NULL,
    syncs          integer NOT NULL CHECK (syncs > 0),
    total_ms       bigint NOT NULL CHECK (total_ms >= 0),
    tokens         integer NOT NULL,
    provider_calls integer NOT NULL,
    compute_units  integer NOT NULL,
    worker_id      text,
    dagster_run_id text,
    chains         jsonb NOT NULL
);

CREATE INDEX unchanged_syncs_completed ON unchanged_syncs (completed_at);

COMMENT ON TABLE unchanged_syncs IS 'One row a batch of a sweep: its syncs that found nothing changed.';
COMMENT ON COLUMN unchanged_syncs.total_ms IS 'The sum of the durations of its syncs.';
COMMENT ON COLUMN unchanged_syncs.chains IS 'How its chains were read, each at which block and of how many wallets.';

CREATE OR REPLACE VIEW sync_statistics_daily AS
SELECT sync_date, sum(syncs)::bigint AS total_syncs, sum(completed)::bigint AS completed_syncs,
       sum(partial)::bigint AS partial_syncs, sum(failed)::bigint AS failed_syncs, sum(users)::bigint AS unique_users,
       round(sum(total_ms) / nullif(sum(completed) + sum(partial), 0)) AS avg_duration_ms,
       sum(tokens)::bigint AS tokens_synced, sum(calls)::bigint AS provider_calls, sum(units)::bigint AS compute_units
FROM (
    SELECT (started_at AT TIME ZONE 'UTC')::date AS sync_date, count(*) AS syncs,
           count(*) FILTER (WHERE status = 'completed') AS completed,
           count(*) FILTER (WHERE status = 'partial') AS partial, count(*) FILTER (WHERE status = 'failed') AS failed,
           count(DISTINCT user_id) AS users,
           sum(duration_ms) FILTER (WHERE status IN ('completed', 'partial'))::numeric AS total_ms,
           sum(tokens_synced) AS tokens, sum(provider_calls) AS calls, sum(compute_units) AS units
    FROM sync_operations GROUP BY 1
    UNION ALL
    -- No users: the first sync of a user's day takes a snapshot, so it has an operation.
    SELECT (completed_at AT TIME ZONE 'UTC')::date, sum(syncs), sum(syncs), 0, 0, 0, sum(total_ms)::numeric,
           sum(tokens), sum(provider_calls), sum(compute_units)
    FROM unchanged_syncs GROUP BY 1
) days
GROUP BY sync_date;
