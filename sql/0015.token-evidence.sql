-- Runs with code from: 0013.traces
-- What each source says of a token, each datum with its own time: a source that fails, or says nothing, erases nothing.

CREATE TABLE token_evidence (
    chain_id      integer NOT NULL,
    token_address text NOT NULL,
    source        text NOT NULL CHECK (source IN ('binance', 'coingecko', 'defillama', 'alchemy', 'dexscreener', 'accepted')),
    answered_at   timestamptz NOT NULL,
    price_usd     numeric CHECK (price_usd > 0),
    price_at      timestamptz,
    read_at       timestamptz,
    change_24h    numeric,
    at_par        boolean NOT NULL DEFAULT false,
    depth         text CHECK (depth IN ('deep', 'thin', 'unknown')),
    depth_usd     numeric CHECK (depth_usd >= 0),
    depth_at      timestamptz,
    PRIMARY KEY (chain_id, token_address, source),
    CHECK ((price_usd IS NULL) = (read_at IS NULL)),
    CHECK ((depth IS NULL) = (depth_at IS NULL)),
    CHECK ((depth_usd IS NULL) = (depth IS NULL OR depth = 'unknown'))
) WITH (fillfactor = 70);

COMMENT ON TABLE token_evidence IS 'The source ''accepted'' is the last price that was used without a jump.';
COMMENT ON COLUMN token_evidence.answered_at IS 'When the source last answered about the token, with a price or with none.';
COMMENT ON COLUMN token_evidence.read_at IS 'When its last price was read; an answer without one leaves it.';
COMMENT ON COLUMN token_evidence.at_par IS 'Quoted in USDT, when no source said what a USDT is worth.';
COMMENT ON COLUMN token_evidence.depth_usd IS 'What the pools hold of trusted tokens, in USD.';

INSERT INTO token_evidence (chain_id, token_address, source, answered_at, price_usd, price_at, read_at, change_24h)
SELECT chain_id, token_address, source, read_at, price_usd, price_at, read_at, change_24h
FROM token_prices WHERE price_usd > 0 AND source IN ('binance', 'coingecko', 'alchemy', 'dexscreener');

INSERT INTO token_evidence (chain_id, token_address, source, answered_at, price_usd, read_at)
SELECT chain_id, token_address, 'accepted', reference_at, reference_usd, reference_at
FROM token_prices WHERE reference_usd > 0 AND reference_at IS NOT NULL;

-- A verdict about pools outlives the code that found it.
INSERT INTO token_evidence AS e (chain_id, token_address, source, answered_at, depth, depth_usd, depth_at)
SELECT chain_id, token_address, 'dexscreener', read_at,
       CASE WHEN 'thin_liquidity' = ANY (flags) THEN 'thin' ELSE 'deep' END, coalesce(liquidity_usd, 0), read_at
FROM token_prices WHERE 'thin_liquidity' = ANY (flags) OR (source = 'dexscreener' AND liquidity_usd IS NOT NULL)
ON CONFLICT (chain_id, token_address, source) DO UPDATE
SET depth = excluded.depth, depth_usd = excluded.depth_usd, depth_at = excluded.depth_at;

-- Metadata that lacks something is asked for again, later each time.
ALTER TABLE token_metadata ADD COLUMN tries smallint NOT NULL DEFAULT 0;
COMMENT ON COLUMN token_metadata.tries IS 'Answers in a row that lacked the decimals or a name.';
