WITH merged AS MATERIALIZED (
    SELECT chain_id, token_address,
           (array_agg(symbol ORDER BY trust, list) FILTER (WHERE symbol IS NOT NULL))[1] AS symbol,
           (array_agg(name ORDER BY trust, list) FILTER (WHERE name IS NOT NULL))[1] AS name,
           (array_agg(logo_url ORDER BY trust, list) FILTER (WHERE logo_url IS NOT NULL))[1] AS logo_url,
           (array_agg(coingecko_id ORDER BY trust, list) FILTER (WHERE coingecko_id IS NOT NULL))[1] AS coingecko_id,
           array_agg(list ORDER BY trust, list) AS lists
    FROM token_registry_entries JOIN token_registry_lists USING (list)
    GROUP BY chain_id, token_address
), gone AS (
    DELETE FROM token_registry r
    WHERE NOT EXISTS (SELECT FROM merged m WHERE m.chain_id = r.chain_id AND m.token_address = r.token_address)
)
INSERT INTO token_registry AS r (chain_id, token_address, symbol, name, logo_url, coingecko_id, lists)
SELECT m.* FROM merged m LEFT JOIN token_registry old USING (chain_id, token_address)
WHERE old.token_address IS NULL
    OR (old.symbol, old.name, old.logo_url, old.coingecko_id, old.lists)
        IS DISTINCT FROM (m.symbol, m.name, m.logo_url, m.coingecko_id, m.lists)
ON CONFLICT (chain_id, token_address) DO UPDATE
SET symbol = excluded.symbol, name = excluded.name, logo_url = excluded.logo_url, coingecko_id = excluded.coingecko_id,
    lists = excluded.lists, updated_at = now()
