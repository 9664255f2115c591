-- What is known of tokens beyond any one user: their metadata, and the book of prices.

CREATE TABLE token_metadata (
    chain_id      integer NOT NULL,
    token_address text NOT NULL,
    symbol        text,
    name          text,
    decimals      smallint CHECK (decimals BETWEEN 0 AND 77),
    logo_url      text,
    source        text NOT NULL,
    read_at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (chain_id, token_address)
);

CREATE TABLE token_prices (
    chain_id      integer NOT NULL,
    token_address text NOT NULL,
    price_usd     numeric CHECK (price_usd >= 0),
    source        text,
    price_at      timestamptz,
    liquidity_usd numeric,
    change_24h    numeric,
    flags         text[] NOT NULL DEFAULT '{}',
    reference_usd numeric,
    reference_at  timestamptz,
    read_at       timestamptz NOT NULL,
    PRIMARY KEY (chain_id, token_address),
    CHECK ((price_usd IS NULL) = (source IS NULL))
) WITH (fillfactor = 70);

COMMENT ON COLUMN token_prices.price_usd IS 'Null: every source was asked at read_at and none has a price that can be trusted.';
COMMENT ON COLUMN token_prices.reference_usd IS 'The last price accepted without a jump, which the next one is measured against.';
