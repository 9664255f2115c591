-- Runs with code from: 0013.traces
-- What a caller asked for by a key of his own: something else by the same key is a mistake, and is refused.

ALTER TABLE sync_request_keys ADD COLUMN asked text;
