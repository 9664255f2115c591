-- What the gateway reads and notes: looks at portfolios, and what each total of the past left out.

ALTER TABLE user_sync_status ADD COLUMN last_viewed_at timestamptz;

COMMENT ON COLUMN user_sync_status.last_viewed_at IS 'When he last looked at his portfolio; noted at most once in five minutes.';

CREATE INDEX sync_requests_user ON sync_requests (user_id, created_at);

ALTER TABLE sync_operations ADD COLUMN omitted jsonb;

COMMENT ON COLUMN sync_operations.omitted IS 'What its total leaves out: unpriced, spam, flagged, staleChains.';

ALTER TABLE user_token_holdings_history ADD COLUMN in_total boolean NOT NULL DEFAULT true;

COMMENT ON COLUMN user_token_holdings_history.in_total IS 'False where its value is kept out of the total, since its price can''t be trusted.';
