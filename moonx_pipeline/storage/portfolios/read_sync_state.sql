SELECT coalesce(s.is_sync_enabled, true), s.last_sync_at, s.last_active_at,
       CASE WHEN s.is_sync_enabled AND o.id IS NULL THEN s.next_sync_at END, s.total_value_usd,
       (SELECT count(*) FROM user_token_holdings h WHERE h.user_id = u.user_id AND NOT h.is_spam),
       coalesce(o.active, 0), o.id, o.trigger, o.started_at,
       (SELECT r.id FROM sync_requests r WHERE r.user_id = u.user_id AND r.status = 'pending'),
       s.last_error_message, s.last_error_at, p.reason, p.paused_at, p.paused_by
FROM (SELECT %s::text AS user_id) u
LEFT JOIN user_sync_status s USING (user_id)
LEFT JOIN LATERAL (SELECT o.id, o.trigger, o.started_at, count(*) OVER () AS active FROM sync_operations o
                   WHERE o.user_id = u.user_id AND o.status IN ('pending', 'running')
                   ORDER BY o.started_at DESC, o.id LIMIT 1) o ON true
LEFT JOIN sync_pause p ON true
