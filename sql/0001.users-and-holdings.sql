-- Users, their wallets, what they hold, and how fresh each chain's reading is.

CREATE TABLE user_sync_status (
    user_id                text PRIMARY KEY CHECK (user_id <> '' AND length(user_id) <= 255),
    sync_status            text NOT NULL DEFAULT 'never'
                           CHECK (sync_status IN ('never', 'running', 'completed', 'partial', 'failed')),
    last_sync_at           timestamptz,
    last_sync_operation_id uuid,
    next_sync_at           timestamptz NOT NULL DEFAULT now(),
    last_active_at         timestamptz,
    is_sync_enabled        boolean NOT NULL DEFAULT true,
    consecutive_failures   integer NOT NULL DEFAULT 0 CHECK (consecutive_failures >= 0),
    last_error_message     text,
    last_error_at          timestamptz,
    total_value_usd        numeric CHECK (total_value_usd >= 0),
    portfolio_version      bigint NOT NULL DEFAULT 0 CHECK (portfolio_version >= 0),
    content_hash           bytea,
    -- Number of the sync that opened last, and of the one whose result is stored: a sync writes only
    -- while its number is not below the stored one.
    opened_fence           bigint NOT NULL DEFAULT 0,
    stored_fence           bigint NOT NULL DEFAULT 0,
    snapshot_at            timestamptz,
    created_at             timestamptz NOT NULL DEFAULT now(),
    CHECK (stored_fence <= opened_fence)
) WITH (fillfactor = 70);

CREATE INDEX user_sync_status_due ON user_sync_status (next_sync_at) WHERE is_sync_enabled;

COMMENT ON COLUMN user_sync_status.last_sync_at IS 'End of the last sync that read at least one chain.';
COMMENT ON COLUMN user_sync_status.content_hash IS 'Hash of the stored positions; equal means nothing to write.';

CREATE TABLE user_wallets (
    user_id        text NOT NULL CHECK (user_id <> '' AND length(user_id) <= 255),
    wallet_address text NOT NULL CHECK (wallet_address ~ '^0x[0-9a-f]{40}$'),
    position       bigint GENERATED ALWAYS AS IDENTITY,
    created_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, wallet_address)
);

CREATE INDEX user_wallets_address ON user_wallets (wallet_address);

CREATE TABLE user_token_holdings (
    user_id           text NOT NULL,
    wallet_address    text NOT NULL,
    chain_id          integer NOT NULL CHECK (chain_id > 0),
    token_address     text NOT NULL CHECK (token_address ~ '^0x[0-9a-f]{40}$'),
    token_symbol      text,
    token_name        text,
    token_decimals    smallint CHECK (token_decimals BETWEEN 0 AND 77),
    balance           numeric(78, 0) NOT NULL
                      CHECK (balance BETWEEN 0 AND 115792089237316195423570985008687907853269984665640564039457584007913129639935),
    balance_formatted numeric,
    price_usd         numeric CHECK (price_usd >= 0),
    value_usd         numeric CHECK (value_usd >= 0),
    price_source      text,
    price_at          timestamptz,
    change_24h        numeric,
    is_spam           boolean NOT NULL DEFAULT false,
    spam_reasons      text[] NOT NULL DEFAULT '{}',
    is_verified       boolean NOT NULL DEFAULT false,
    flags             text[] NOT NULL DEFAULT '{}',
    logo_url          text,
    last_updated      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, wallet_address, chain_id, token_address),
    FOREIGN KEY (user_id, wallet_address) REFERENCES user_wallets ON DELETE CASCADE,
    CHECK ((balance_formatted IS NULL) = (token_decimals IS NULL)),
    CHECK ((price_usd IS NULL) = (price_source IS NULL)),
    CHECK ((value_usd IS NULL) = (price_usd IS NULL OR balance_formatted IS NULL)),
    CHECK (is_spam = (cardinality(spam_reasons) > 0))
) WITH (fillfactor = 80);

COMMENT ON COLUMN user_token_holdings.balance IS 'In the smallest unit of the token.';
COMMENT ON COLUMN user_token_holdings.token_decimals IS 'Null is unknown: then amount and value are unknown, too.';
COMMENT ON COLUMN user_token_holdings.last_updated IS 'When the row last changed, not when it was last read: see user_chain_status.';

CREATE TABLE user_chain_status (
    user_id         text NOT NULL,
    wallet_address  text NOT NULL,
    chain_id        integer NOT NULL CHECK (chain_id > 0),
    status          text NOT NULL DEFAULT 'never' CHECK (status IN ('fresh', 'stale', 'never')),
    last_success_at timestamptz,
    last_attempt_at timestamptz,
    error           text,
    source          text,
    coverage        text CHECK (coverage IN ('all_tokens', 'known_tokens')),
    PRIMARY KEY (user_id, wallet_address, chain_id),
    FOREIGN KEY (user_id, wallet_address) REFERENCES user_wallets ON DELETE CASCADE,
    CHECK ((status = 'never') = (last_success_at IS NULL))
) WITH (fillfactor = 70);

COMMENT ON COLUMN user_chain_status.error IS 'Why the last attempt failed, or what its source cannot know.';

-- Snapshots of the positions that are not spam, taken when they changed or the day turned.
CREATE TABLE user_token_holdings_history (
    user_id           text NOT NULL,
    wallet_address    text NOT NULL,
    chain_id          integer NOT NULL,
    token_address     text NOT NULL,
    token_symbol      text,
    balance           numeric(78, 0) NOT NULL,
    balance_formatted numeric,
    price_usd         numeric,
    value_usd         numeric,
    snapshot_type     text NOT NULL CHECK (snapshot_type IN ('auto', 'manual', 'scheduled', 'sync')),
    sync_operation_id uuid NOT NULL,
    created_at        timestamptz NOT NULL
) PARTITION BY RANGE (created_at);

CREATE INDEX user_token_holdings_history_user ON user_token_holdings_history (user_id, created_at);

-- Catches what falls outside the months that exist, so that a write never fails for want of one.
CREATE TABLE user_token_holdings_history_other PARTITION OF user_token_holdings_history DEFAULT;

CREATE FUNCTION ensure_history_partitions(first_day date DEFAULT current_date, months integer DEFAULT 3)
RETURNS integer LANGUAGE plpgsql AS $$
-- Creates the missing monthly partitions of history from the month of first_day on, and moves into them
-- what the default partition had caught. Returns how many were created.
DECLARE
    month_start timestamptz;
    month_end timestamptz;
    partition_name text;
    created integer := 0;
BEGIN
    FOR n IN 0 .. months - 1 LOOP
        month_start := (date_trunc('month', first_day::timestamp) + n * interval '1 month') AT TIME ZONE 'UTC';
        month_end := (date_trunc('month', first_day::timestamp) + (n + 1) * interval '1 month') AT TIME ZONE 'UTC';
        partition_name := 'user_token_holdings_history_' || to_char(month_start AT TIME ZONE 'UTC', 'YYYY_MM');
        CONTINUE WHEN to_regclass(partition_name) IS NOT NULL;
        PERFORM pg_advisory_xact_lock(hashtextextended('user_token_holdings_history', 0));
        CONTINUE WHEN to_regclass(partition_name) IS NOT NULL;
        EXECUTE format('CREATE TABLE %I (LIKE user_token_holdings_history INCLUDING DEFAULTS INCLUDING CONSTRAINTS)',
                       partition_name);
        EXECUTE format('WITH moved AS (DELETE FROM user_token_holdings_history_other
                                       WHERE created_at >= %L AND created_at < %L RETURNING *)
                        INSERT INTO %I SELECT * FROM moved', month_start, month_end, partition_name);
        EXECUTE format('ALTER TABLE user_token_holdings_history ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                       partition_name, month_start, month_end);
        created := created + 1;
    END LOOP;
    RETURN created;
END
$$;
