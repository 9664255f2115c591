WITH locked AS (
    SELECT user_id, portfolio_version FROM user_sync_status WHERE user_id = %(user_id)s FOR UPDATE
), refused AS (
    INSERT INTO sync_operations (id, user_id, status, priority, trigger, request_id, started_at, completed_at,
                                 duration_ms, worker_id, dagster_run_id, error_code, error_message, portfolio_version)
    SELECT %(operation_id)s, user_id, 'refused', %(priority)s, %(trigger)s, %(request_id)s, %(started_at)s,
           %(started_at)s, 0, %(worker_id)s, %(run_id)s, %(code)s, %(message)s, portfolio_version
    FROM locked
    ON CONFLICT (id) DO NOTHING
    RETURNING portfolio_version
)
SELECT w.wallet_address, r.portfolio_version
FROM refused r, user_wallets w WHERE w.user_id = %(user_id)s ORDER BY w.position LIMIT 1
