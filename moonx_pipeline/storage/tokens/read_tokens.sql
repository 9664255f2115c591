SELECT x.chain_id, x.token_address,
       m.token_address IS NOT NULL, m.symbol, m.name, m.decimals, m.logo_url, m.read_at, m.tries,
       m.read_at < now() - interval '30 days',
       r.token_address IS NOT NULL, r.symbol, r.name, r.logo_url, r.coingecko_id, r.lists,
       e.source, e.answered_at, e.price_usd, e.price_at, e.read_at, e.change_24h,
       e.at_par, e.depth, e.depth_usd, e.depth_at
FROM unnest(%s::int[], %s::text[]) AS x(chain_id, token_address)
LEFT JOIN token_metadata m USING (chain_id, token_address)
LEFT JOIN token_registry r USING (chain_id, token_address)
LEFT JOIN token_evidence e USING (chain_id, token_address)
