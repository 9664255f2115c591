INSERT INTO vault_shares AS v (chain_id, token_address, asked_at, kind, underlying, assets, held, read_at, level, level_at,
                               is_off)
SELECT * FROM json_to_recordset(%s::json) AS x(
    chain_id integer, token_address text, asked_at timestamptz, kind text, underlying text, assets numeric, held numeric,
    read_at timestamptz, level numeric, level_at timestamptz, is_off boolean)
ORDER BY 1, 2
ON CONFLICT (chain_id, token_address) DO UPDATE
SET asked_at = excluded.asked_at, kind = excluded.kind, underlying = excluded.underlying, assets = excluded.assets,
    held = excluded.held, read_at = excluded.read_at, level = excluded.level, level_at = excluded.level_at,
    is_off = excluded.is_off
-- The later answer stays; a contract that once was a share does not cease to be known as one.
WHERE excluded.asked_at > v.asked_at AND (excluded.kind IS NOT NULL OR v.kind IS NULL)
