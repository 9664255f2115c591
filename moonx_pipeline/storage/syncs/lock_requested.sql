SELECT 1 FROM user_sync_status WHERE user_id = %(user)s FOR UPDATE;
WITH wallets AS (
    SELECT coalesce(array_agg(w.wallet_address ORDER BY w.position), '{}') AS addresses,
           coalesce(bool_or(NOT EXISTS (
               SELECT 1 FROM user_chain_status c WHERE c.user_id = w.user_id
               AND c.wallet_address = w.wallet_address AND c.last_success_at IS NOT NULL)), false) AS never_read
    FROM user_wallets w WHERE w.user_id = %(user)s
)
SELECT coalesce(s.portfolio_version, 0), w.addresses, w.never_read,
       (SELECT status FROM sync_operations WHERE id = %(operation)s), coalesce(s.is_sync_enabled, true),
       (SELECT count(*) FROM user_token_holdings h WHERE h.user_id = %(user)s),
       greatest(s.last_sync_at, s.last_error_at),
       (SELECT json_agg(json_build_array(o.id, o.started_at, o.retry_count)) FROM sync_operations o
        WHERE o.user_id = %(user)s AND o.type = 'sweep' AND o.status = 'running' AND o.id <> %(operation)s)
FROM wallets w LEFT JOIN user_sync_status s ON s.user_id = %(user)s
