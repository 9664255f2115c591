WITH ends AS (
    SELECT * FROM json_to_recordset(%(ends)s::json) AS x(
        operation_id uuid, user_id text, status text, completed_at timestamptz, duration_ms integer, version bigint,
        tokens integer, chains_synced integer, total_value_usd numeric, omitted jsonb, error_code text,
        error_message text, stored_fence bigint, content_hash text, inputs text, snapshot boolean, next_sync_at timestamptz,
        failures integer, chains jsonb, provider_calls integer, compute_units integer, began_at timestamptz,
        is_high_value boolean, balances text, balances_read_at timestamptz)
), statuses AS (
    INSERT INTO user_chain_status AS c (user_id, wallet_address, chain_id, status, last_success_at, last_attempt_at,
                                        error, source, coverage, unread, block, resume_key, resume_since,
                                        error_code, way, full_read_at, known_block)
    SELECT user_id, wallet_address, chain_id, CASE WHEN synced_at IS NULL THEN 'never' ELSE 'fresh' END, synced_at,
           attempted_at, error, source, coverage, unread, block, resume_key, resume_since, error_code, way,
           full_read_at, known_block
    FROM json_to_recordset(%(statuses)s::json) AS x(
        user_id text, wallet_address text, chain_id integer, synced_at timestamptz, attempted_at timestamptz,
        error text, source text, coverage text, unread integer, block bigint, resume_key text,
        resume_since timestamptz, error_code text, way text, full_read_at timestamptz, known_block bigint)
    ON CONFLICT (user_id, wallet_address, chain_id) DO UPDATE
    SET status = CASE WHEN excluded.status = 'fresh' THEN 'fresh' WHEN c.last_success_at IS NULL THEN 'never'
                      ELSE 'stale' END,
        last_success_at = coalesce(excluded.last_success_at, c.last_success_at),
        last_attempt_at = coalesce(excluded.last_attempt_at, c.last_attempt_at),
        error = excluded.error,
        error_code = excluded.error_code,
        source = coalesce(excluded.source, c.source),
        coverage = coalesce(excluded.coverage, c.coverage),
        way = coalesce(excluded.way, c.way),
        full_read_at = coalesce(excluded.full_read_at, c.full_read_at),
        known_block = coalesce(excluded.known_block, c.known_block),
        -- A chain that was not read at all keeps the values of its last reading.
        unread = CASE WHEN excluded.status = 'fresh' OR excluded.resume_key IS NOT NULL
                 THEN excluded.unread ELSE c.unread END,
        block = CASE WHEN excluded.status = 'fresh' OR excluded.resume_key IS NOT NULL
                THEN excluded.block ELSE c.block END,
        resume_key = CASE WHEN excluded.status = 'fresh' OR excluded.resume_key IS NOT NULL
                     THEN excluded.resume_key ELSE c.resume_key END,
        resume_since = CASE WHEN excluded.status = 'fresh' OR excluded.resume_key IS NOT NULL
                       THEN excluded.resume_since ELSE c.resume_since END
), dropped AS (
    DELETE FROM user_chain_status c USING ends e
    WHERE c.user_id = e.user_id AND e.stored_fence IS NOT NULL AND c.chain_id <> ALL(%(chains)s::integer[])
), operations AS (
    UPDATE sync_operations o
    SET status = e.status, completed_at = e.completed_at, duration_ms = e.duration_ms, tokens_synced = e.tokens,
        chains_synced = e.chains_synced, total_value_usd = e.total_value_usd, omitted = e.omitted,
        error_code = e.error_code, error_message = e.error_message, portfolio_version = e.version, chains = e.chains,
        provider_calls = e.provider_calls, compute_units = e.compute_units,
        previous_sync_at = (SELECT s.last_sync_at FROM user_sync_status s WHERE s.user_id = e.user_id)
    FROM ends e WHERE o.id = e.operation_id AND o.completed_at IS NULL
), requests AS (
    UPDATE sync_requests r
    SET status = CASE e.status WHEN 'refused' THEN 'refused' WHEN 'cancelled' THEN 'cancelled' ELSE 'done' END,
        reason = CASE WHEN e.status IN ('refused', 'cancelled') THEN e.error_message END, completed_at = e.completed_at
    FROM ends e WHERE r.sync_operation_id = e.operation_id AND r.status = 'claimed'
)
UPDATE user_sync_status s
SET sync_status = CASE WHEN e.status IN ('completed', 'partial', 'failed') THEN e.status
                       WHEN s.sync_status <> 'running' THEN s.sync_status
                       WHEN s.last_sync_at IS NULL THEN 'never' ELSE 'completed' END,
    last_sync_at = CASE WHEN e.total_value_usd IS NOT NULL THEN e.completed_at ELSE s.last_sync_at END,
    last_sync_operation_id = CASE WHEN e.status IN ('completed', 'partial', 'failed') THEN e.operation_id
                                  ELSE s.last_sync_operation_id END,
    next_sync_at = CASE WHEN s.moved_at > e.began_at THEN e.completed_at
                        ELSE coalesce(e.next_sync_at, s.next_sync_at) END,
    is_high_value = CASE WHEN e.total_value_usd IS NOT NULL THEN e.is_high_value ELSE s.is_high_value END,
    balances_read_at = CASE e.balances WHEN 'whole' THEN e.balances_read_at WHEN 'kept' THEN s.balances_read_at END,
    consecutive_failures = e.failures,
    last_error_message = CASE WHEN e.status = 'completed' THEN NULL
                              WHEN e.status IN ('partial', 'failed') THEN e.error_message
                              ELSE s.last_error_message END,
    last_error_at = CASE WHEN e.status = 'completed' THEN NULL
                         WHEN e.status IN ('partial', 'failed') THEN e.completed_at ELSE s.last_error_at END,
    total_value_usd = coalesce(e.total_value_usd, s.total_value_usd),
    portfolio_version = e.version,
    content_hash = coalesce(decode(e.content_hash, 'base64'), s.content_hash),
    inputs_hash = CASE WHEN e.content_hash IS NULL THEN s.inputs_hash
                       ELSE sha256(decode(e.content_hash, 'base64') || decode(e.inputs, 'base64')) END,
    stored_fence = coalesce(e.stored_fence, s.stored_fence),
    snapshot_at = CASE WHEN e.snapshot THEN e.completed_at ELSE s.snapshot_at END
FROM ends e WHERE s.user_id = e.user_id
