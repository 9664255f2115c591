-- A sync that somebody asked for stays as it is, and so does the one that a user's status names. One that went on over
-- midnight belongs to no day.
SELECT o.id::text, o.user_id, o.status, o.fence, o.started_at, o.completed_at, o.total_value_usd AS total,
       o.omitted::text, o.portfolio_version AS version, o.previous_sync_at, o.priority, o.trigger, o.duration_ms,
       o.tokens_synced, o.chains_synced, o.error_code, o.error_message, o.retry_count, o.provider_calls,
       o.compute_units, o.worker_id, o.dagster_run_id AS run_id, coalesce(o.chains::text, 'null') AS chains
FROM user_sync_status s CROSS JOIN LATERAL (
    SELECT * FROM sync_operations
    WHERE user_id = s.user_id AND started_at < %(before)s AND type = 'sweep' AND request_id IS NULL
      AND fence IS NOT NULL AND status IN ('completed', 'partial', 'failed')
      AND date_trunc('day', started_at, 'UTC') = date_trunc('day', completed_at, 'UTC')
      AND id IS DISTINCT FROM s.last_sync_operation_id
      AND NOT EXISTS (SELECT FROM sync_requests r WHERE r.sync_operation_id = sync_operations.id)
    ORDER BY started_at, id LIMIT %(most)s
) o
WHERE s.user_id = ANY(%(users)s)
ORDER BY o.user_id, o.started_at, o.id
