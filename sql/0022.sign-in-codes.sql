-- Runs with code from: 0013.traces
-- A link signs in by a code that is good once, for a minute: the token itself is in no address and no history.

CREATE TABLE sign_in_codes (
    code_hash  bytea PRIMARY KEY,
    token      bytea NOT NULL,
    expires_at timestamptz NOT NULL
);

COMMENT ON COLUMN sign_in_codes.token IS 'Encrypted with a key that follows from the code, which is not kept.';
