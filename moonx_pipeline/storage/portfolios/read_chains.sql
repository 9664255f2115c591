SELECT user_id, chain_id, CASE WHEN bool_or(status = 'never') OR count(*) < min(w.wallets) THEN 'never'
                               WHEN bool_or(status = 'stale') THEN 'stale' ELSE 'fresh' END,
       min(last_success_at), min(error), bool_or(coverage IS NOT DISTINCT FROM 'known_tokens'), sum(s.unread),
       (array_agg(error_code ORDER BY error))[1]
FROM user_chain_status s
JOIN (SELECT user_id, count(*) AS wallets FROM user_wallets WHERE user_id = ANY(%(users)s) GROUP BY user_id) w
USING (user_id)
GROUP BY user_id, chain_id
ORDER BY user_id, array_position(%(display_order)s, chain_id), chain_id
