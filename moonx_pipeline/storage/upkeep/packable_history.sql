SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off;
WITH users AS MATERIALIZED (
    SELECT user_id, array_agg(wallet_address) AS wallets FROM user_wallets WHERE user_id = ANY(%(users)s) GROUP BY 1
), spans AS MATERIALIZED (
    SELECT u.user_id, u.wallets, o.oldest, date_trunc('day', o.oldest, 'UTC') + interval '24 hours' AS midnight
    FROM users u CROSS JOIN LATERAL (
        SELECT created_at AS oldest FROM user_token_holdings_history
        WHERE user_id = u.user_id AND wallet_address = ANY(u.wallets) AND created_at < %(before)s
        ORDER BY created_at LIMIT 1) o
)
SELECT s.user_id, h.wallet_address, h.created_at, h.sync_operation_id::text AS operation_id, h.total, h.positions,
       h.snapshot, s.midnight < %(before)s AS is_more
FROM spans s CROSS JOIN LATERAL (
    SELECT wallet_address, created_at, sync_operation_id, count(*) AS positions,
           coalesce(sum(value_usd) FILTER (WHERE in_total), 0) AS total,
           json_agg(json_build_array(snapshot_type, chain_id, token_address, token_symbol, balance, balance_formatted,
               price_usd, CASE WHEN value_usd IS NOT DISTINCT FROM balance_formatted * price_usd THEN 'true'::json
                               ELSE coalesce(to_json(value_usd), 'null') END, in_total)
               ORDER BY chain_id, token_address)::text AS snapshot
    FROM user_token_holdings_history
    WHERE user_id = s.user_id AND created_at >= s.oldest AND created_at < least(s.midnight, %(before)s)
      AND wallet_address = ANY(s.wallets)
    GROUP BY wallet_address, created_at, sync_operation_id) h
WHERE s.midnight <= %(before)s OR %(enough)s <= (
    SELECT count(DISTINCT created_at) FROM user_token_holdings_history
    WHERE user_id = s.user_id AND created_at >= s.oldest AND created_at < %(before)s
      AND wallet_address = ANY(s.wallets))
ORDER BY s.user_id, h.wallet_address, h.created_at, h.sync_operation_id
