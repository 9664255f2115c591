UPDATE user_sync_status s
SET portfolio_version = s.portfolio_version + CASE WHEN %(known)s THEN 1 ELSE 0 END,
    total_value_usd = CASE WHEN x.is_read THEN x.total END,
    last_sync_at = CASE WHEN x.is_read THEN s.last_sync_at END,
    sync_status = CASE WHEN x.is_read OR s.sync_status = 'running' THEN s.sync_status ELSE 'never' END,
    last_error_message = CASE WHEN x.is_read THEN s.last_error_message END,
    last_error_at = CASE WHEN x.is_read THEN s.last_error_at END
FROM (SELECT EXISTS (SELECT 1 FROM user_chain_status c
                     WHERE c.user_id = %(user)s AND c.last_success_at IS NOT NULL) AS is_read,
             (SELECT coalesce(sum(h.value_usd), 0) FROM user_token_holdings h
              WHERE h.user_id = %(user)s AND NOT h.is_spam AND NOT h.flags && %(blocking)s::text[]) AS total) x
WHERE s.user_id = %(user)s
RETURNING s.portfolio_version
