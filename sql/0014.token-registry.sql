-- Runs with code from: 0013.traces
-- The token registry: contracts that published lists and listings name.

CREATE TABLE token_registry (
    chain_id      integer NOT NULL CHECK (chain_id > 0),
    token_address text NOT NULL CHECK (token_address ~ '^0x[0-9a-f]{40}$'),
    symbol        text,
    name          text,
    logo_url      text,
    coingecko_id  text,
    lists         text[] NOT NULL DEFAULT '{}',
    updated_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (chain_id, token_address)
);

CREATE INDEX token_registry_coin ON token_registry (coingecko_id) WHERE coingecko_id IS NOT NULL;

COMMENT ON TABLE token_registry IS 'No decimals: lists contradict each other there, so they come from the contract or provider.';
COMMENT ON COLUMN token_registry.coingecko_id IS 'Contracts with the same id are the same asset.';
COMMENT ON COLUMN token_registry.lists IS 'The lists that name the contract; coingecko is the listing of coins.';

-- What each list was last read as, so that a refresh removes only what its own list dropped.
CREATE TABLE token_registry_lists (
    list       text PRIMARY KEY,
    version    text NOT NULL,
    tokens     integer NOT NULL,
    read_at    timestamptz NOT NULL DEFAULT now(),
    error      text
);
