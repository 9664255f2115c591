SELECT day, sum(syncs)::bigint, sum(completed)::bigint, sum(partial)::bigint, sum(failed)::bigint,
       count(DISTINCT user_id), round(sum(total_ms) / nullif(sum(completed) + sum(partial), 0))::bigint,
       sum(calls)::bigint, sum(units)::bigint
FROM (
    SELECT (completed_at AT TIME ZONE 'UTC')::date AS day, user_id, count(*) AS syncs,
           count(*) FILTER (WHERE status = 'completed') AS completed,
           count(*) FILTER (WHERE status = 'partial') AS partial, count(*) FILTER (WHERE status = 'failed') AS failed,
           sum(duration_ms) FILTER (WHERE status IN ('completed', 'partial'))::numeric AS total_ms,
           sum(provider_calls) AS calls, sum(compute_units) AS units
    FROM sync_operations
    WHERE completed_at >= date_trunc('day', now(), 'UTC') - make_interval(days => %(days)s - 1) GROUP BY 1, 2
    UNION ALL
    SELECT day, user_id, cardinality(ids), completed, partial, failed, total_ms, provider_calls, compute_units
    FROM operation_packs WHERE day > (now() AT TIME ZONE 'UTC')::date - %(days)s
    UNION ALL
    -- No users: the first sync of a user's day takes a snapshot, so it has an operation.
    SELECT (completed_at AT TIME ZONE 'UTC')::date, NULL, sum(syncs), sum(syncs), 0, 0, sum(total_ms)::numeric,
           sum(provider_calls), sum(compute_units)
    FROM unchanged_syncs
    WHERE completed_at >= date_trunc('day', now(), 'UTC') - make_interval(days => %(days)s - 1) GROUP BY 1
) days
GROUP BY day ORDER BY day DESC
