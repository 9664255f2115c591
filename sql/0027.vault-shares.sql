-- Runs with code from: 0013.traces
-- What contracts say that they are redeemable for, where they are shares of a vault: one row a contract, for all holders.

CREATE TABLE vault_shares (
    chain_id      integer NOT NULL,
    token_address text NOT NULL,
    asked_at      timestamptz NOT NULL,
    kind          text CHECK (kind IN ('erc4626', 'aave', 'lido', 'rocket_pool')),
    underlying    text,
    assets        numeric CHECK (assets >= 0),
    held          numeric CHECK (held >= 0),
    read_at       timestamptz,
    level         numeric CHECK (level >= 0),
    level_at      timestamptz,
    is_off        boolean NOT NULL DEFAULT false,
    PRIMARY KEY (chain_id, token_address),
    CHECK (num_nulls(kind, underlying, assets, read_at, level, level_at) IN (0, 6)),
    CHECK (kind IS NOT NULL OR (held IS NULL AND NOT is_off))
) WITH (fillfactor = 70);

COMMENT ON COLUMN vault_shares.asked_at IS 'When the contract last answered, be it that it is no share.';
COMMENT ON COLUMN vault_shares.kind IS 'Null: it is no share, as far as is known.';
COMMENT ON COLUMN vault_shares.assets IS 'Smallest units of the underlying token for 10^24 smallest units of the share.';
COMMENT ON COLUMN vault_shares.held IS 'Smallest units of the underlying token that the vault itself holds.';
COMMENT ON COLUMN vault_shares.level IS 'The assets that answers are held against: beyond a bound they turn the share off.';
COMMENT ON COLUMN vault_shares.is_off IS 'They moved at level_at, and have not stood long enough since.';
