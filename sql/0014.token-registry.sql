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

CREATE TABLE token_registry_lists (
    list     text PRIMARY KEY,
    trust    integer NOT NULL,
    version  text,
    tokens   integer NOT NULL DEFAULT 0,
    read_at  timestamptz,
    asked_at timestamptz NOT NULL DEFAULT now(),
    error    text
);

COMMENT ON COLUMN token_registry_lists.trust IS 'Of the lists that name a contract, the one with the lowest goes first.';
COMMENT ON COLUMN token_registry_lists.read_at IS 'When it was last read in full; a reading that fails leaves what it said.';

-- What each list says. The registry follows from it alone, so that a list that drops a contract takes back its own word.
CREATE TABLE token_registry_entries (
    chain_id      integer NOT NULL CHECK (chain_id > 0),
    token_address text NOT NULL CHECK (token_address ~ '^0x[0-9a-f]{40}$'),
    list          text NOT NULL REFERENCES token_registry_lists ON DELETE CASCADE,
    symbol        text,
    name          text,
    logo_url      text,
    coingecko_id  text,
    PRIMARY KEY (chain_id, token_address, list)
);
