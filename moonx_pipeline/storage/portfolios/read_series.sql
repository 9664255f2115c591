WITH buckets AS (
    SELECT NULL::timestamptz AS since, %(since)s::timestamptz AS until
    UNION ALL
    SELECT greatest(b, %(since)s), b + %(bucket)s
    FROM generate_series(date_bin(%(bucket)s, %(since)s, %(epoch)s), %(now)s, %(bucket)s) AS b
)
SELECT b.since IS NULL, coalesce(CASE WHEN b.since IS NULL THEN greatest(o.at, c.at) END, o.at, h.at, c.at),
       coalesce(o.total, h.total, c.total), coalesce(o.omitted, c.omitted)
FROM buckets b
LEFT JOIN LATERAL (
    SELECT at, total, omitted FROM (
        (SELECT o.started_at, o.completed_at AS at, o.total_value_usd AS total, o.omitted FROM sync_operations o
         WHERE o.user_id = %(user)s AND o.started_at < b.until
           AND o.started_at >= coalesce(b.since - interval '1 hour', '-infinity')
           AND o.status IN ('completed', 'partial') AND o.total_value_usd IS NOT NULL
           AND o.completed_at <@ tstzrange(b.since, b.until)
         ORDER BY o.started_at DESC LIMIT 1)
        UNION ALL
        (SELECT e.started_at, e.completed_at, e.total, e.omitted
         FROM (SELECT * FROM operation_packs
               WHERE user_id = %(user)s AND first_started_at < b.until AND completed + partial > 0
                 AND last_started_at >= coalesce(b.since - interval '1 hour', '-infinity')
               ORDER BY last_started_at DESC LIMIT CASE WHEN b.since IS NULL THEN 3 END) k
         CROSS JOIN unnest(k.started_at, k.completed_at, k.totals, k.omitted, k.statuses)
             AS e(started_at, completed_at, total, omitted, status)
         WHERE e.status IN ('completed', 'partial') AND e.total IS NOT NULL
           AND e.completed_at <@ tstzrange(b.since, b.until)
         ORDER BY e.started_at DESC LIMIT 1)) found
    ORDER BY started_at DESC LIMIT 1
) o ON true
LEFT JOIN LATERAL (
    (SELECT s.created_at AS at,
            (SELECT coalesce(sum(h.value_usd) FILTER (WHERE h.in_total), 0) FROM user_token_holdings_history h
             WHERE h.user_id = %(user)s AND h.created_at = s.created_at
               AND h.sync_operation_id = s.sync_operation_id) AS total
     FROM (SELECT h.created_at, h.sync_operation_id FROM user_token_holdings_history h
           WHERE o.at IS NULL AND h.user_id = %(user)s AND h.created_at < b.until
             AND h.created_at >= coalesce(b.since, '-infinity')
           ORDER BY h.created_at DESC LIMIT 1) s)
    UNION ALL
    (SELECT e.at, sum(e.total)
     FROM history_packs k CROSS JOIN unnest(k.created_at, k.operation_ids, k.totals) AS e(at, operation_id, total)
     WHERE o.at IS NULL AND k.user_id = %(user)s AND k.first_at < b.until
       AND k.last_at >= coalesce(b.since, (SELECT max(date_trunc('day', first_at, 'UTC')) FROM history_packs
                                           WHERE user_id = %(user)s AND first_at < b.until))
       AND e.at >= coalesce(b.since, '-infinity') AND e.at < b.until
     GROUP BY e.at, e.operation_id ORDER BY e.at DESC LIMIT 1)
    ORDER BY at DESC LIMIT 1
) h ON true
-- A pack has ends of syncs only, so the one before or after a time is in the nearest packs.
-- Syncs that found what an operation had stored have none of their own: the next one, or the user's status, says until
-- when there were any.
LEFT JOIN LATERAL (
    SELECT least(x.until, b.until - interval '1 microsecond') AS at, p.total_value_usd AS total, p.omitted
    FROM (SELECT started_at, completed_at, total_value_usd, omitted FROM (
              (SELECT started_at, completed_at, total_value_usd, omitted FROM sync_operations
               WHERE user_id = %(user)s AND started_at < coalesce(b.since, b.until)
                 AND completed_at < coalesce(b.since, b.until) AND status IN ('completed', 'partial', 'failed')
               ORDER BY started_at DESC LIMIT 1)
              UNION ALL
              SELECT e.started_at, e.completed_at, e.total, e.omitted
              FROM (SELECT * FROM operation_packs
                    WHERE (o.at IS NULL OR b.since IS NULL) AND h.at IS NULL
                      AND user_id = %(user)s AND first_started_at < coalesce(b.since, b.until)
                    ORDER BY last_started_at DESC LIMIT 3) k
              CROSS JOIN unnest(k.started_at, k.completed_at, k.totals, k.omitted)
                  AS e(started_at, completed_at, total, omitted)
              WHERE e.started_at < coalesce(b.since, b.until) AND e.completed_at < coalesce(b.since, b.until)) before
          ORDER BY started_at DESC LIMIT 1) p
    LEFT JOIN LATERAL (SELECT true AS is_there, previous_sync_at FROM (
                           (SELECT started_at, previous_sync_at FROM sync_operations
                            WHERE user_id = %(user)s AND started_at > p.started_at
                              AND status IN ('completed', 'partial', 'failed')
                            ORDER BY started_at LIMIT 1)
                           UNION ALL
                           SELECT e.started_at, e.previous_sync_at
                           FROM (SELECT * FROM operation_packs
                                 WHERE user_id = %(user)s AND last_started_at > p.started_at
                                 ORDER BY last_started_at LIMIT 3) k
                           CROSS JOIN unnest(k.started_at, k.previous_sync_at) AS e(started_at, previous_sync_at)
                           WHERE e.started_at > p.started_at) after
                       ORDER BY started_at LIMIT 1) n ON true
    CROSS JOIN LATERAL (SELECT CASE WHEN n.is_there THEN n.previous_sync_at ELSE (
                            SELECT last_sync_at FROM user_sync_status WHERE user_id = %(user)s) END AS until) x
    WHERE (o.at IS NULL OR b.since IS NULL) AND h.at IS NULL AND p.total_value_usd IS NOT NULL
      AND x.until >= coalesce(b.since, p.completed_at)
) c ON true
WHERE coalesce(o.at, h.at, c.at) IS NOT NULL
ORDER BY b.until
