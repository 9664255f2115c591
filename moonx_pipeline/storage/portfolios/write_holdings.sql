WITH incoming AS MATERIALIZED (
    SELECT * FROM json_to_recordset(%(rows)s::json) AS x(
        user_id text, wallet_address text, chain_id integer, token_address text, token_symbol text, token_name text,
        token_decimals smallint, balance numeric, balance_formatted numeric, price_usd numeric, value_usd numeric,
        price_source text, price_at timestamptz, change_24h numeric, is_spam boolean, spam_reasons text[],
        is_verified boolean, flags text[], logo_url text)
), gone AS (
    DELETE FROM user_token_holdings h
    WHERE h.user_id = ANY(%(users)s)
      AND NOT EXISTS (SELECT 1 FROM incoming i WHERE i.user_id = h.user_id AND i.wallet_address = h.wallet_address
                      AND i.chain_id = h.chain_id AND i.token_address = h.token_address)
    RETURNING 1
), written AS (
    INSERT INTO user_token_holdings AS h (
        user_id, wallet_address, chain_id, token_address, token_symbol, token_name, token_decimals, balance,
        balance_formatted, price_usd, value_usd, price_source, price_at, change_24h, is_spam, spam_reasons, is_verified,
        flags, logo_url, last_updated)
    SELECT i.*, now() FROM incoming i
    ON CONFLICT (user_id, wallet_address, chain_id, token_address) DO UPDATE
    SET (token_symbol, token_name, token_decimals, balance, price_usd, price_source, change_24h, is_spam, spam_reasons,
         is_verified, flags, logo_url, balance_formatted, value_usd, price_at, last_updated)
      = (excluded.token_symbol, excluded.token_name, excluded.token_decimals, excluded.balance, excluded.price_usd,
         excluded.price_source, excluded.change_24h, excluded.is_spam, excluded.spam_reasons, excluded.is_verified,
         excluded.flags, excluded.logo_url, excluded.balance_formatted, excluded.value_usd, excluded.price_at,
         excluded.last_updated)
    -- All but what follows from these, and the times.
    WHERE (h.token_symbol, h.token_name, h.token_decimals, h.balance, h.price_usd, h.price_source, h.change_24h,
           h.is_spam, h.spam_reasons, h.is_verified, h.flags, h.logo_url)
        IS DISTINCT FROM
          (excluded.token_symbol, excluded.token_name, excluded.token_decimals, excluded.balance, excluded.price_usd,
           excluded.price_source, excluded.change_24h, excluded.is_spam, excluded.spam_reasons, excluded.is_verified,
           excluded.flags, excluded.logo_url)
    RETURNING xmax = 0 AS is_new
)
SELECT count(*) FILTER (WHERE is_new), count(*) FILTER (WHERE NOT is_new), (SELECT count(*) FROM gone) FROM written
