SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off;
WITH RECURSIVE leaps AS (
    (SELECT h.user_id FROM user_token_holdings_history h
     WHERE h.created_at >= %(month)s AND h.created_at < %(next_month)s AND h.user_id > %(after)s
     ORDER BY h.user_id LIMIT 1)
    UNION ALL
    SELECT (SELECT h.user_id FROM user_token_holdings_history h
            WHERE h.created_at >= %(month)s AND h.created_at < %(next_month)s AND h.user_id > l.user_id
            ORDER BY h.user_id LIMIT 1)
    FROM leaps l WHERE l.user_id IS NOT NULL
), users AS MATERIALIZED (
    SELECT user_id FROM leaps WHERE user_id IS NOT NULL LIMIT %(users)s
), snapshots AS MATERIALIZED (
    SELECT u.user_id, s.created_at, s.sync_operation_id, row_number() OVER (
        PARTITION BY u.user_id, date_trunc(%(resolution)s, s.created_at, 'UTC')
        ORDER BY s.created_at DESC, s.sync_operation_id DESC) AS nth_last
    FROM users u CROSS JOIN LATERAL (
        SELECT DISTINCT h.created_at, h.sync_operation_id FROM user_token_holdings_history h
        WHERE h.user_id = u.user_id AND h.created_at >= %(start)s AND h.created_at < %(end)s) s
), gone AS (
    DELETE FROM user_token_holdings_history h USING snapshots s
    WHERE s.nth_last > 1 AND h.user_id = s.user_id AND h.created_at = s.created_at
      AND h.sync_operation_id = s.sync_operation_id AND h.created_at >= %(month)s AND h.created_at < %(next_month)s
    RETURNING 1
)
SELECT (SELECT count(*) FROM users), (SELECT max(user_id) FROM users), (SELECT count(*) FROM gone)
