-- The shares, and what they are redeemable for, where that is a share, too.
WITH asked AS (
    SELECT DISTINCT v.* FROM unnest(%s::int[], %s::text[]) AS x(chain_id, token_address)
    JOIN vault_shares v USING (chain_id, token_address)
)
SELECT chain_id, token_address, asked_at, kind, underlying, assets, held, read_at, level, level_at, is_off FROM asked
UNION
SELECT v.chain_id, v.token_address, v.asked_at, v.kind, v.underlying, v.assets, v.held, v.read_at, v.level, v.level_at,
       v.is_off
FROM asked JOIN vault_shares v ON (v.chain_id, v.token_address) = (asked.chain_id, asked.underlying)
WHERE v.kind IS NOT NULL
