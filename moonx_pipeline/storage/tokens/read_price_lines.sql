-- The lines of all that a user holds and that is counted.
SELECT DISTINCT h.chain_id, h.token_address, l.read_at, l.prices
FROM user_token_holdings h
LEFT JOIN unnest(%(chain_ids)s::integer[], %(coin_ids)s::text[]) AS c (chain_id, coingecko_id)
    ON c.chain_id = h.chain_id AND h.token_address = %(native)s
LEFT JOIN token_registry r ON r.chain_id = h.chain_id AND r.token_address = h.token_address
JOIN price_lines l ON l.coingecko_id = coalesce(c.coingecko_id, r.coingecko_id)
WHERE h.user_id = %(user_id)s AND h.value_usd IS NOT NULL AND NOT h.is_spam AND NOT h.flags && %(blocking)s::text[]
  AND l.prices IS NOT NULL
ORDER BY h.chain_id, h.token_address
