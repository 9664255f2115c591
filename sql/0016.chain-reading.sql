-- Runs with code from: 0013.traces
-- How a chain was read: what could not be read, at which block, and where a list that takes several syncs goes on.

ALTER TABLE user_chain_status
    ADD COLUMN unread integer NOT NULL DEFAULT 0 CHECK (unread >= 0),
    ADD COLUMN block bigint CHECK (block >= 0),
    ADD COLUMN resume_key text,
    ADD COLUMN resume_since timestamptz,
    ADD CHECK ((resume_key IS NULL) = (resume_since IS NULL));

COMMENT ON COLUMN user_chain_status.unread IS 'Tokens whose balance nobody could read and that have none from before.';
COMMENT ON COLUMN user_chain_status.block IS 'The block at which the balances were read, where the source says so.';
COMMENT ON COLUMN user_chain_status.resume_key IS 'Where the next sync goes on with a list that was read in part.';
COMMENT ON COLUMN user_chain_status.resume_since IS 'When the reading of that list began: what it is as old as at most.';
