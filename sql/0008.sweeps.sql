-- Unattended syncs: who is due, in an order that costs the same however many users there are.

ALTER TABLE user_sync_status
    ALTER COLUMN next_sync_at DROP NOT NULL,
    ADD COLUMN is_high_value    boolean NOT NULL DEFAULT false,
    ADD COLUMN balances_read_at timestamptz,
    ADD COLUMN moved_at         timestamptz;

COMMENT ON COLUMN user_sync_status.next_sync_at IS 'When he is due; while a sync of his runs, when it is surely over. Null: he was not active for a day, and waits until he is.';
COMMENT ON COLUMN user_sync_status.is_high_value IS 'His portfolio is large enough to come first.';
COMMENT ON COLUMN user_sync_status.balances_read_at IS 'When the last reading of all his balances began; null where it left something open.';
COMMENT ON COLUMN user_sync_status.moved_at IS 'When a wallet of his was last said to have moved.';

DROP INDEX user_sync_status_due;
CREATE INDEX user_sync_status_due ON user_sync_status (is_high_value, next_sync_at) WHERE is_sync_enabled;

CREATE INDEX sync_operations_active_user ON sync_operations (user_id) WHERE status IN ('pending', 'running');

CREATE FUNCTION wake_user() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.next_sync_at := now();
    RETURN NEW;
END
$$;

-- Activity makes a user who waits for it due again, whoever notes it.
CREATE TRIGGER user_sync_status_wake BEFORE UPDATE OF last_active_at ON user_sync_status FOR EACH ROW
WHEN (NEW.next_sync_at IS NULL AND NEW.last_active_at IS DISTINCT FROM OLD.last_active_at)
EXECUTE FUNCTION wake_user();
