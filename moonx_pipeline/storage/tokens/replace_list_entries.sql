WITH said AS MATERIALIZED (
    SELECT * FROM json_to_recordset(%(tokens)s::json) AS x(
        chain_id integer, token_address text, symbol text, name text, logo_url text, coingecko_id text)
), gone AS (
    DELETE FROM token_registry_entries e
    WHERE e.list = %(list)s
    AND NOT EXISTS (SELECT FROM said s WHERE s.chain_id = e.chain_id AND s.token_address = e.token_address)
    RETURNING 1
), put AS (
    INSERT INTO token_registry_entries AS e
        (chain_id, token_address, list, symbol, name, logo_url, coingecko_id)
    SELECT chain_id, token_address, %(list)s, symbol, name, logo_url, coingecko_id FROM said
    ON CONFLICT (chain_id, token_address, list) DO UPDATE
    SET symbol = excluded.symbol, name = excluded.name, logo_url = excluded.logo_url,
        coingecko_id = excluded.coingecko_id
    WHERE (e.symbol, e.name, e.logo_url, e.coingecko_id)
        IS DISTINCT FROM (excluded.symbol, excluded.name, excluded.logo_url, excluded.coingecko_id)
    RETURNING xmax = 0 AS is_new
)
SELECT (SELECT count(*) FROM put WHERE is_new), (SELECT count(*) FROM gone), (SELECT count(*) FROM put WHERE NOT is_new)
