SET LOCAL statement_timeout = %(timeout)s;
SELECT 1 FROM user_sync_status WHERE user_id = ANY(%(users)s) ORDER BY user_id FOR UPDATE;
WITH found AS MATERIALIZED (
    SELECT * FROM json_to_recordset(%(syncs)s::json) AS x(
        user_id text, operation_id uuid, fence bigint, started_at timestamptz, inputs text, balances text,
        tokens integer, provider_calls integer, compute_units integer)
), confirmed AS (
    UPDATE user_sync_status s
    SET sync_status = 'completed', last_sync_at = %(at)s, next_sync_at = %(next_sync_at)s, stored_fence = f.fence,
        is_high_value = s.total_value_usd >= %(high_value_usd)s,
        balances_read_at = CASE f.balances WHEN 'whole' THEN %(read_at)s WHEN 'kept' THEN s.balances_read_at END
    FROM found f JOIN sync_operations o ON o.id = f.operation_id AND o.status = 'running'
    WHERE s.user_id = f.user_id AND s.stored_fence < f.fence
      AND s.inputs_hash = sha256(s.content_hash || decode(f.inputs, 'base64'))
      -- What is to be seen has an operation: the first sync of a day, one after a failure or a longer silence.
      AND s.snapshot_at >= %(today)s AND s.last_sync_at >= %(since)s AND s.last_error_at IS NULL
      AND s.consecutive_failures = 0 AND (s.moved_at IS NULL OR s.moved_at <= f.started_at)
      AND NOT EXISTS (SELECT 1 FROM user_chain_status c
                      WHERE c.user_id = s.user_id AND (c.status <> 'fresh' OR c.chain_id <> ALL(%(chain_ids)s)))
    RETURNING s.user_id, f.operation_id, f.started_at, f.tokens, f.provider_calls, f.compute_units,
              o.worker_id, o.dagster_run_id
), statuses AS (
    UPDATE user_chain_status c
    SET last_success_at = %(read_at)s, last_attempt_at = %(read_at)s, error = g.error, error_code = NULL,
        source = coalesce(g.source, c.source), coverage = g.coverage, way = coalesce(g.way, c.way), block = g.block,
        full_read_at = CASE WHEN g.is_list THEN %(read_at)s ELSE c.full_read_at END,
        known_block = coalesce(g.known_block, c.known_block), unread = 0, resume_key = NULL, resume_since = NULL
    FROM json_to_recordset(%(readings)s::json) AS g(
             chain_id integer, source text, way text, coverage text, error text, block bigint, known_block bigint,
             is_list boolean, users json, wallets json),
         LATERAL ROWS FROM (json_array_elements_text(g.users), json_array_elements_text(g.wallets))
             AS r(user_id, wallet_address)
         JOIN confirmed n USING (user_id)
    WHERE c.user_id = r.user_id AND c.wallet_address = r.wallet_address AND c.chain_id = g.chain_id
), gone AS (
    DELETE FROM sync_operations o USING confirmed n WHERE o.id = n.operation_id
), batch AS (
    INSERT INTO unchanged_syncs (completed_at, syncs, total_ms, tokens, provider_calls, compute_units, worker_id,
                                 dagster_run_id, chains)
    SELECT %(at)s, count(*), sum(greatest(0, extract(epoch FROM %(at)s - started_at) * 1000))::bigint, sum(tokens),
           sum(provider_calls), sum(compute_units), min(worker_id), min(dagster_run_id), %(chains)s::jsonb
    FROM confirmed HAVING count(*) > 0
)
SELECT user_id FROM confirmed
