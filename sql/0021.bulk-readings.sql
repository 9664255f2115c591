-- Runs with code from: 0013.traces
-- How a chain was read, and from where a reading of what changed goes on.

ALTER TABLE user_chain_status
    ADD COLUMN way text CHECK (way IN ('data_api', 'json_rpc', 'node', 'bulk')),
    ADD COLUMN full_read_at timestamptz,
    ADD COLUMN known_block bigint CHECK (known_block >= 0);

COMMENT ON COLUMN user_chain_status.way IS 'How it was read: a list of the data API, pages of JSON-RPC, single calls of a node, or in bulk.';
COMMENT ON COLUMN user_chain_status.full_read_at IS 'When the tokens were last listed, not only those asked for that are known or were received.';
COMMENT ON COLUMN user_chain_status.known_block IS 'What was received up to this block is in the stored holdings.';
