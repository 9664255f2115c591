-- Runs with code from: 0013.traces
-- Why a chain was not read, as a code: programs choose their own words by it instead of parsing the sentence in "error".

ALTER TABLE user_chain_status ADD COLUMN error_code text;

COMMENT ON COLUMN user_chain_status.error_code IS 'The code of "error"; null where there is none, and in rows written before codes existed.';
