-- Runs with code from: 0013.traces
-- What listed coins were worth over the last week: one row a coin, however many contracts and holders it has.

CREATE TABLE price_lines (
    coingecko_id text PRIMARY KEY,
    asked_at     timestamptz NOT NULL,
    read_at      timestamptz,
    prices       numeric[],
    CHECK ((read_at IS NULL) = (prices IS NULL)),
    CHECK (cardinality(prices) BETWEEN 2 AND 168)
);

COMMENT ON TABLE price_lines IS 'By CoinGecko. An answer without a line, or none, leaves the last one.';
COMMENT ON COLUMN price_lines.asked_at IS 'When it was last asked for: that is done once an hour. A call that fails sets it back, so that five minutes are left.';
COMMENT ON COLUMN price_lines.prices IS 'In USD, evenly over the seven days before read_at, oldest first; NULL where one could not be read.';
