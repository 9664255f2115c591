WITH states AS (
    SELECT f.id, r.user_id, r.status, r.sync_operation_id,
           CASE r.status WHEN 'done' THEN o.status WHEN 'refused' THEN 'refused' WHEN 'cancelled' THEN 'cancelled' END
               AS outcome,
           coalesce(r.reason, o.error_message) AS message,
           CASE WHEN o.status IN ('completed', 'partial') THEN o.total_value_usd END AS total, o.duration_ms
    FROM followed_requests f JOIN sync_requests r ON r.id = f.served_by
    LEFT JOIN sync_operations o ON o.id = r.sync_operation_id
)
UPDATE followed_requests f SET status = s.status FROM states s WHERE f.id = s.id AND f.status <> s.status
RETURNING s.*
