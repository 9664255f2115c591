-- Of a user, or of all for NULL: the coins held and counted whose line is due, the most valuable first. Whoever asks
-- meanwhile gets others: the claim is the row's new time.
WITH held AS (
    SELECT coalesce(c.coingecko_id, r.coingecko_id) AS coingecko_id, max(h.value_usd) AS value_usd
    FROM user_token_holdings h
    LEFT JOIN unnest(%(chain_ids)s::integer[], %(coin_ids)s::text[]) AS c (chain_id, coingecko_id)
        ON c.chain_id = h.chain_id AND h.token_address = %(native)s
    LEFT JOIN token_registry r ON r.chain_id = h.chain_id AND r.token_address = h.token_address
    WHERE (%(user_id)s::text IS NULL OR h.user_id = %(user_id)s)
      AND h.value_usd IS NOT NULL AND NOT h.is_spam AND NOT h.flags && %(blocking)s::text[]
    GROUP BY 1
), due AS (
    SELECT coingecko_id FROM held LEFT JOIN price_lines l USING (coingecko_id)
    WHERE coingecko_id IS NOT NULL AND (l.asked_at IS NULL OR l.asked_at < %(before)s)
    ORDER BY value_usd DESC, coingecko_id LIMIT %(most)s
)
INSERT INTO price_lines AS l (coingecko_id, asked_at) SELECT coingecko_id, %(now)s FROM due
ON CONFLICT (coingecko_id) DO UPDATE SET asked_at = excluded.asked_at WHERE l.asked_at < %(before)s
RETURNING coingecko_id
