-- Runs with code from: 0013.traces
-- Whose webhooks speak: Alchemy's are one a network, and one that is silent says nothing about who moved.

CREATE TABLE webhook_networks (
    chain_id         integer PRIMARY KEY CHECK (chain_id > 0),
    alive_since      timestamptz NOT NULL,
    last_delivery_at timestamptz NOT NULL
);

COMMENT ON COLUMN webhook_networks.alive_since IS 'Since when deliveries follow each other without a long silence: balances that were read earlier may have moved untold.';
COMMENT ON COLUMN webhook_networks.last_delivery_at IS 'When the last good delivery was made; written once a minute, not at each.';
