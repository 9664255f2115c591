WITH syncs AS (
    SELECT x.*, o.id IS NOT NULL AS is_known FROM json_to_recordset(%(syncs)s::json) AS x(
        operation_id uuid, user_id text, type text, priority text, trigger text, request_id uuid, worker_id text,
        run_id text, retry integer, started_at timestamptz, is_activity boolean)
    LEFT JOIN sync_operations o ON o.id = x.operation_id
), claimed AS (
    UPDATE sync_requests r SET status = 'claimed', claimed_at = now(), sync_operation_id = s.operation_id
    FROM syncs s WHERE r.id = s.request_id AND r.user_id = s.user_id
                   AND (r.status = 'pending' OR r.sync_operation_id = s.operation_id)
    RETURNING s.operation_id, r.priority
), opened AS (
    INSERT INTO user_sync_status AS u (user_id, opened_fence, sync_status, last_active_at, next_sync_at)
    SELECT user_id, CASE WHEN is_known THEN 0 ELSE 1 END, 'running', CASE WHEN is_activity THEN now() END,
           %(lease_until)s
    FROM syncs
    ON CONFLICT (user_id) DO UPDATE
    SET opened_fence = u.opened_fence + excluded.opened_fence, sync_status = 'running',
        last_active_at = coalesce(excluded.last_active_at, u.last_active_at), next_sync_at = excluded.next_sync_at
    RETURNING user_id, opened_fence, portfolio_version
)
INSERT INTO sync_operations AS o (id, user_id, type, status, priority, trigger, request_id, fence, started_at,
                                  worker_id, dagster_run_id, retry_count, portfolio_version)
SELECT s.operation_id, s.user_id, s.type, 'running', coalesce(c.priority, s.priority), s.trigger, s.request_id,
       u.opened_fence, s.started_at, s.worker_id, s.run_id, s.retry, u.portfolio_version
FROM syncs s JOIN opened u USING (user_id) LEFT JOIN claimed c USING (operation_id)
WHERE s.request_id IS NULL OR c.operation_id IS NOT NULL
ON CONFLICT (id) DO UPDATE SET retry_count = o.retry_count + 1
RETURNING id, fence, started_at, retry_count
