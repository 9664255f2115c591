WITH known AS (
    SELECT greatest((SELECT max(created_at) FROM outbox_events), (SELECT max(last_at) FROM outbox_packs),
                    (SELECT max(started_at) FROM sync_operations)) AS at
), skipped AS (
    SELECT at, coalesce(ceil(extract(epoch FROM clock_timestamp() - at)), 0)::bigint AS versions FROM known
), users AS (
    UPDATE user_sync_status SET portfolio_version = portfolio_version + skipped.versions,
        content_hash = NULL, balances_read_at = NULL
    FROM skipped RETURNING 1
), lists AS (
    UPDATE user_chain_status SET full_read_at = NULL
)
SELECT (SELECT count(*) FROM users), at, versions FROM skipped
