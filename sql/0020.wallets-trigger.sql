-- Runs with code from: 0013.traces
-- A sync that follows a change of wallets is called what it is; it was a "login" before.

ALTER TABLE sync_operations
    DROP CONSTRAINT sync_operations_trigger_check,
    ADD CONSTRAINT sync_operations_trigger_check
        CHECK (trigger IN ('manual', 'backfill', 'schedule', 'webhook', 'login', 'wallets'));
