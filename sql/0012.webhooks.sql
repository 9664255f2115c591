-- Deliveries of webhooks that were taken: a repeated or replayed one does nothing.

CREATE TABLE webhook_deliveries (
    id          text PRIMARY KEY CHECK (id <> ''),
    received_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX webhook_deliveries_received ON webhook_deliveries (received_at);
