WITH tokens AS (
    INSERT INTO token_metadata AS m (chain_id, token_address, symbol, name, decimals, logo_url, source, tries)
    SELECT * FROM json_to_recordset(%(tokens)s::json) AS x(
        chain_id integer, token_address text, symbol text, name text, decimals smallint, logo_url text, source text,
        tries smallint)
    ORDER BY 1, 2
    ON CONFLICT (chain_id, token_address) DO UPDATE
    SET symbol = excluded.symbol, name = excluded.name, decimals = excluded.decimals, logo_url = excluded.logo_url,
        source = excluded.source, tries = excluded.tries, read_at = now()
    WHERE excluded.tries > 0 OR m.read_at < now() - interval '30 days' OR (m.symbol, m.name, m.decimals, m.logo_url)
        IS DISTINCT FROM (excluded.symbol, excluded.name, excluded.decimals, excluded.logo_url)
)
INSERT INTO token_evidence AS e (chain_id, token_address, source, answered_at, price_usd, price_at, read_at, change_24h,
                                 at_par, depth, depth_usd, depth_at)
SELECT * FROM json_to_recordset(%(evidence)s::json) AS x(
    chain_id integer, token_address text, source text, answered_at timestamptz, price_usd numeric, price_at timestamptz,
    read_at timestamptz, change_24h numeric, at_par boolean, depth text, depth_usd numeric, depth_at timestamptz)
ORDER BY 1, 2, 3
ON CONFLICT (chain_id, token_address, source) DO UPDATE
SET answered_at = greatest(e.answered_at, excluded.answered_at),
    (price_usd, price_at, read_at, change_24h, at_par) = (
        SELECT p.* FROM (VALUES
            (e.price_usd, e.price_at, e.read_at, e.change_24h, e.at_par),
            (excluded.price_usd, excluded.price_at, excluded.read_at, excluded.change_24h, excluded.at_par))
            AS p(price_usd, price_at, read_at, change_24h, at_par) ORDER BY p.read_at DESC NULLS LAST LIMIT 1),
    (depth, depth_usd, depth_at) = (
        SELECT p.* FROM (VALUES (e.depth, e.depth_usd, e.depth_at),
                                (excluded.depth, excluded.depth_usd, excluded.depth_at))
                   AS p(depth, depth_usd, depth_at)
        -- What is not known replaces no depth that is.
        ORDER BY p.depth = 'unknown' NULLS LAST, p.depth_at DESC LIMIT 1)
WHERE (e.answered_at, coalesce(e.read_at, '-infinity'), coalesce(e.depth_at, '-infinity'))
    IS DISTINCT FROM (greatest(e.answered_at, excluded.answered_at),
                      greatest(e.read_at, excluded.read_at, '-infinity'),
                      greatest(e.depth_at, excluded.depth_at, '-infinity'))
    OR (e.depth = 'unknown' AND excluded.depth <> 'unknown')
