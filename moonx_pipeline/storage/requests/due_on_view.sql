SELECT s.last_viewed_at IS NULL OR s.last_viewed_at <= now() - %(recent)s,
       CASE WHEN s.is_sync_enabled IS FALSE OR s.last_sync_at > now() - %(recent)s THEN NULL
            WHEN EXISTS (SELECT 1 FROM sync_operations o WHERE o.user_id = u.user_id
                         AND o.status IN ('pending', 'running')) THEN NULL
            WHEN EXISTS (SELECT 1 FROM sync_requests r WHERE r.user_id = u.user_id AND r.status = 'pending') THEN NULL
            WHEN EXISTS (SELECT 1 FROM sync_operations o WHERE o.user_id = u.user_id
                         AND o.started_at > now() - %(recent)s) THEN NULL
            WHEN EXISTS (SELECT 1 FROM sync_requests r WHERE r.user_id = u.user_id
                         AND r.created_at > now() - %(recent)s) THEN NULL
            WHEN EXISTS (SELECT 1 FROM circuit_breakers b WHERE b.key = 'user:' || u.user_id
                         AND b.retry_at > now()) THEN NULL
            WHEN s.last_sync_at IS NULL THEN 'high' ELSE 'medium' END
FROM (SELECT user_id FROM user_wallets WHERE user_id = %(user)s LIMIT 1) u
LEFT JOIN user_sync_status s USING (user_id)
