SELECT width_bucket(last_sync_at, ARRAY(SELECT now() - make_interval(secs => bound)
           FROM unnest(%(bounds)s::float8[]) AS bound ORDER BY bound DESC)) AS newer_than, count(*),
       coalesce(extract(epoch FROM sum(greatest(now() - last_sync_at, interval '0'))), 0)::float8,
       count(*) FILTER (WHERE next_sync_at <= now()),
       coalesce(extract(epoch FROM now() - min(next_sync_at) FILTER (WHERE next_sync_at <= now())), 0)::float8
FROM user_sync_status s
WHERE is_sync_enabled AND last_active_at > now() - interval '24 hours'
  AND EXISTS (SELECT 1 FROM user_wallets w WHERE w.user_id = s.user_id)
GROUP BY 1
