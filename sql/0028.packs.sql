-- Runs with code from: 0013.traces
-- What is old and no longer changes is packed: one row holds what many held, and what SQL does not ask for is compressed.
-- After a rollback, the code before it neither reads nor deletes what is packed.

-- Published events of a key: some hours of a day.

CREATE TABLE outbox_packs (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key           text NOT NULL,
    first_at      timestamptz NOT NULL,
    last_at       timestamptz NOT NULL,
    last_tx       xid8 NOT NULL,
    seqs          bigint[] NOT NULL,
    topics        text[] NOT NULL,
    types         text[] NOT NULL,
    versions      bigint[] NOT NULL,
    operation_ids uuid[] NOT NULL,
    errors        text[] NOT NULL,
    events        bytea NOT NULL
);

-- It is compressed already.
ALTER TABLE outbox_packs ALTER COLUMN events SET STORAGE EXTERNAL;

CREATE INDEX outbox_packs_key ON outbox_packs (key, id);
CREATE INDEX outbox_packs_last ON outbox_packs (last_at);

COMMENT ON TABLE outbox_packs IS 'Published events that moved out of outbox_events; none spans midnight (UTC).';
COMMENT ON COLUMN outbox_packs.id IS 'Later packs have later events of a key; packs become visible in this order.';
COMMENT ON COLUMN outbox_packs.last_tx IS 'No event in it is of a later transaction.';
COMMENT ON COLUMN outbox_packs.events IS 'What the other columns do not say of each event; storage/packs/columns.py.';

-- All events that are kept, by what can be asked of them without unpacking any.
CREATE VIEW kept_events AS
SELECT e.key, e.seq, e.topic, e.type, e.version, e.payload->'data'->>'syncOperationId' AS operation_id,
       e.published_at IS NOT NULL AS is_published
FROM outbox_events e
UNION ALL
SELECT p.key, e.seq, e.topic, e.type, e.version, e.operation_id::text, true
FROM outbox_packs p
CROSS JOIN unnest(p.seqs, p.topics, p.types, p.versions, p.operation_ids)
    AS e(seq, topic, type, version, operation_id);

-- A user's syncs by sweeps that began and ended on one day.
CREATE TABLE operation_packs (
    id                bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id           text NOT NULL,
    day               date NOT NULL,
    first_started_at  timestamptz NOT NULL,
    last_started_at   timestamptz NOT NULL,
    completed         integer NOT NULL,
    partial           integer NOT NULL,
    failed            integer NOT NULL,
    total_ms          bigint NOT NULL,
    tokens            bigint NOT NULL,
    provider_calls    bigint NOT NULL,
    compute_units     bigint NOT NULL,
    ids               uuid[] NOT NULL,
    statuses          text[] NOT NULL,
    fences            bigint[] NOT NULL,
    started_at        timestamptz[] NOT NULL,
    completed_at      timestamptz[] NOT NULL,
    totals            numeric[] NOT NULL,
    omitted           jsonb[] NOT NULL,
    versions          bigint[] NOT NULL,
    previous_sync_at  timestamptz[] NOT NULL,
    details           bytea NOT NULL
);

ALTER TABLE operation_packs ALTER COLUMN details SET STORAGE EXTERNAL;

CREATE INDEX operation_packs_user ON operation_packs (user_id, last_started_at);
CREATE INDEX operation_packs_day ON operation_packs (day);

COMMENT ON TABLE operation_packs IS 'Operations that moved out of sync_operations; its lists are in the order of their start.';
COMMENT ON COLUMN operation_packs.total_ms IS 'The sum of the durations of its completed and partial syncs.';
COMMENT ON COLUMN operation_packs.details IS 'What the other columns do not say of each sync; storage/packs/columns.py.';

-- All operations that are kept, by what can be asked of them without unpacking any.
CREATE VIEW kept_operations AS
SELECT id, user_id, type, status, fence, started_at, completed_at, total_value_usd, omitted, portfolio_version,
       previous_sync_at
FROM sync_operations
UNION ALL
SELECT o.id, p.user_id, 'sweep', o.status, o.fence, o.started_at, o.completed_at, o.total, o.omitted, o.version,
       o.previous_sync_at
FROM operation_packs p
CROSS JOIN unnest(p.ids, p.statuses, p.fences, p.started_at, p.completed_at, p.totals, p.omitted, p.versions,
                  p.previous_sync_at)
    AS o(id, status, fence, started_at, completed_at, total, omitted, version, previous_sync_at);

CREATE OR REPLACE VIEW sync_statistics_daily AS
SELECT sync_date, sum(syncs)::bigint AS total_syncs, sum(completed)::bigint AS completed_syncs,
       sum(partial)::bigint AS partial_syncs, sum(failed)::bigint AS failed_syncs,
       count(DISTINCT user_id) AS unique_users,
       round(sum(total_ms) / nullif(sum(completed) + sum(partial), 0)) AS avg_duration_ms,
       sum(tokens)::bigint AS tokens_synced, sum(calls)::bigint AS provider_calls, sum(units)::bigint AS compute_units
FROM (
    SELECT (started_at AT TIME ZONE 'UTC')::date AS sync_date, user_id, count(*) AS syncs,
           count(*) FILTER (WHERE status = 'completed') AS completed,
           count(*) FILTER (WHERE status = 'partial') AS partial, count(*) FILTER (WHERE status = 'failed') AS failed,
           sum(duration_ms) FILTER (WHERE status IN ('completed', 'partial'))::numeric AS total_ms,
           sum(tokens_synced) AS tokens, sum(provider_calls) AS calls, sum(compute_units) AS units
    FROM sync_operations GROUP BY 1, 2
    UNION ALL
    SELECT day, user_id, cardinality(ids), completed, partial, failed, total_ms, tokens, provider_calls, compute_units
    FROM operation_packs
    UNION ALL
    -- No users: the first sync of a user's day takes a snapshot, so it has an operation.
    SELECT (completed_at AT TIME ZONE 'UTC')::date, NULL, sum(syncs), sum(syncs), 0, 0, sum(total_ms)::numeric,
           sum(tokens), sum(provider_calls), sum(compute_units)
    FROM unchanged_syncs GROUP BY 1
) days
GROUP BY sync_date;

-- Snapshots of a user's wallet on one day. They go with the wallet.
CREATE TABLE history_packs (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id        text NOT NULL,
    wallet_address text NOT NULL,
    day            date NOT NULL,
    grain          text NOT NULL CHECK (grain IN ('whole', 'hour', 'day')),
    first_at       timestamptz NOT NULL,
    last_at        timestamptz NOT NULL,
    created_at     timestamptz[] NOT NULL,
    operation_ids  uuid[] NOT NULL,
    totals         numeric[] NOT NULL,
    snapshots      bytea NOT NULL,
    FOREIGN KEY (user_id, wallet_address) REFERENCES user_wallets ON DELETE CASCADE
);

ALTER TABLE history_packs ALTER COLUMN snapshots SET STORAGE EXTERNAL;

CREATE INDEX history_packs_wallet ON history_packs (user_id, wallet_address);
CREATE INDEX history_packs_user ON history_packs (user_id, last_at);
CREATE INDEX history_packs_day ON history_packs (grain, day);

COMMENT ON TABLE history_packs IS 'Snapshots that moved out of user_token_holdings_history; its lists are in their order.';
COMMENT ON COLUMN history_packs.grain IS 'What is left of the day: every snapshot, the last of each hour, or the last.';
COMMENT ON COLUMN history_packs.totals IS 'Of each snapshot, the sum of what counts in this wallet.';
COMMENT ON COLUMN history_packs.snapshots IS 'The positions of each snapshot; storage/packs/history_packs.py.';
