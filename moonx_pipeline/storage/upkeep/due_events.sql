SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off;
WITH RECURSIVE leaps AS (
    (SELECT e.key FROM outbox_events e WHERE e.published_at IS NOT NULL AND e.key > %(after)s ORDER BY e.key LIMIT 1)
    UNION ALL
    SELECT (SELECT e.key FROM outbox_events e WHERE e.published_at IS NOT NULL AND e.key > l.key
            ORDER BY e.key LIMIT 1)
    FROM leaps l WHERE l.key IS NOT NULL
), keys AS MATERIALIZED (
    SELECT key FROM leaps WHERE key IS NOT NULL LIMIT %(keys)s
)
SELECT k.key, e.events >= %(enough)s OR e.oldest < date_trunc('day', %(before)s::timestamptz, 'UTC')
FROM keys k CROSS JOIN LATERAL (
    SELECT count(*) AS events, min(o.created_at) AS oldest FROM (
        SELECT created_at FROM outbox_events
        WHERE key = k.key AND published_at IS NOT NULL ORDER BY seq LIMIT %(enough)s) o
    WHERE o.created_at < %(before)s) e
ORDER BY k.key
