-- What was asked for, and what each sync did.

CREATE TABLE sync_operations (
    id                uuid PRIMARY KEY,
    user_id           text NOT NULL,
    type              text NOT NULL DEFAULT 'portfolio',
    status            text NOT NULL
                      CHECK (status IN ('pending', 'running', 'completed', 'partial', 'failed', 'cancelled', 'refused')),
    priority          text NOT NULL DEFAULT 'medium' CHECK (priority IN ('high', 'medium', 'low')),
    trigger           text NOT NULL CHECK (trigger IN ('manual', 'backfill', 'schedule', 'webhook', 'login')),
    request_id        uuid,
    fence             bigint,
    started_at        timestamptz NOT NULL DEFAULT now(),
    completed_at      timestamptz,
    duration_ms       integer CHECK (duration_ms >= 0),
    tokens_synced     integer NOT NULL DEFAULT 0,
    chains_synced     integer NOT NULL DEFAULT 0,
    total_value_usd   numeric,
    error_code        text,
    error_message     text,
    retry_count       integer NOT NULL DEFAULT 0,
    worker_id         text,
    dagster_run_id    text,
    portfolio_version bigint,
    chains            jsonb,
    provider_calls    integer NOT NULL DEFAULT 0,
    compute_units     integer NOT NULL DEFAULT 0,
    CHECK ((completed_at IS NULL) = (status IN ('pending', 'running')))
) WITH (fillfactor = 80);

CREATE INDEX sync_operations_user ON sync_operations (user_id, started_at DESC);
CREATE INDEX sync_operations_active ON sync_operations (started_at) WHERE status IN ('pending', 'running');

COMMENT ON COLUMN sync_operations.fence IS 'Number of the sync among the user''s: a later sync has a higher one.';
COMMENT ON COLUMN sync_operations.chains IS 'How the reading of each wallet and chain ended, with reasons.';

CREATE TABLE sync_requests (
    id                uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id           text NOT NULL,
    source            text NOT NULL DEFAULT 'api',
    priority          text NOT NULL DEFAULT 'medium' CHECK (priority IN ('high', 'medium', 'low')),
    idempotency_key   text,
    status            text NOT NULL DEFAULT 'pending'
                      CHECK (status IN ('pending', 'claimed', 'done', 'refused', 'cancelled')),
    reason            text,
    created_at        timestamptz NOT NULL DEFAULT now(),
    claimed_at        timestamptz,
    completed_at      timestamptz,
    sync_operation_id uuid,
    UNIQUE (user_id, idempotency_key)
);

CREATE INDEX sync_requests_pending ON sync_requests (created_at) WHERE status = 'pending';

COMMENT ON COLUMN sync_requests.reason IS 'Why it was refused or cancelled.';

CREATE VIEW active_sync_operations AS
SELECT id, user_id, type, status, priority, trigger, started_at, worker_id, dagster_run_id,
       now() - started_at AS running_for
FROM sync_operations
WHERE status IN ('pending', 'running')
ORDER BY array_position(ARRAY['high', 'medium', 'low'], priority), started_at;

CREATE VIEW sync_statistics_daily AS
SELECT (started_at AT TIME ZONE 'UTC')::date AS sync_date,
       count(*) AS total_syncs,
       count(*) FILTER (WHERE status = 'completed') AS completed_syncs,
       count(*) FILTER (WHERE status = 'partial') AS partial_syncs,
       count(*) FILTER (WHERE status = 'failed') AS failed_syncs,
       count(DISTINCT user_id) AS unique_users,
       round(avg(duration_ms) FILTER (WHERE status IN ('completed', 'partial'))) AS avg_duration_ms,
       sum(tokens_synced) AS tokens_synced,
       sum(provider_calls) AS provider_calls,
       sum(compute_units) AS compute_units
FROM sync_operations
GROUP BY 1;

CREATE VIEW current_portfolio AS
SELECT h.*, c.status AS chain_status, c.last_success_at AS chain_synced_at, c.status IS DISTINCT FROM 'fresh' AS is_stale
FROM user_token_holdings h
LEFT JOIN user_chain_status c USING (user_id, wallet_address, chain_id);
