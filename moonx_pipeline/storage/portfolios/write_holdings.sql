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
), updated AS (
    UPDATE user_token_holdings h
    SET (token_symbol, token_name, token_decimals, balance, price_usd, price_source, change_24h, is_spam, spam_reasons,
         is_verified, flags, logo_url, balance_formatted, value_usd, price_at, last_updated)
      = (i.token_symbol, i.token_name, i.token_decimals, i.balance, i.price_usd, i.price_source, i.change_24h,
         i.is_spam, i.spam_reasons, i.is_verified, i.flags, i.logo_url, i.balance_formatted, i.value_usd, i.price_at,
         now())
    FROM incoming i
    -- Those that differ in anything but what follows from the rest, and the times.
    WHERE h.user_id = ANY(%(users)s) AND i.user_id = h.user_id AND i.wallet_address = h.wallet_address
      AND i.chain_id = h.chain_id AND i.token_address = h.token_address
      AND (h.token_symbol, h.token_name, h.token_decimals, h.balance, h.price_usd, h.price_source, h.change_24h,
           h.is_spam, h.spam_reasons, h.is_verified, h.flags, h.logo_url)
        IS DISTINCT FROM
          (i.token_symbol, i.token_name, i.token_decimals, i.balance, i.price_usd, i.price_source, i.change_24h,
           i.is_spam, i.spam_reasons, i.is_verified, i.flags, i.logo_url)
    RETURNING 1
), inserted AS (
    -- The users are locked, so nobody else inserts: a look for conflicts with others is saved.
    INSERT INTO user_token_holdings (
        user_id, wallet_address, chain_id, token_address, token_symbol, token_name, token_decimals, balance,
        balance_formatted, price_usd, value_usd, price_source, price_at, change_24h, is_spam, spam_reasons, is_verified,
        flags, logo_url, last_updated)
    SELECT i.*, now() FROM incoming i
    WHERE NOT EXISTS (SELECT 1 FROM user_token_holdings h
                      WHERE h.user_id = ANY(%(users)s) AND h.user_id = i.user_id
                        AND h.wallet_address = i.wallet_address AND h.chain_id = i.chain_id
                        AND h.token_address = i.token_address)
    RETURNING 1
)
SELECT (SELECT count(*) FROM inserted), (SELECT count(*) FROM updated), (SELECT count(*) FROM gone)
