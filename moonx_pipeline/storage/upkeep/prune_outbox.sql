WITH slice AS MATERIALIZED (
    SELECT id, tx, seq, created_at, published_at FROM outbox_events
    WHERE (tx, seq) > (%(tx)s::text::xid8, %(seq)s) ORDER BY tx, seq LIMIT %(most)s
), gone AS (
    DELETE FROM outbox_events e USING slice s
    WHERE e.id = s.id AND s.created_at < %(before)s AND (s.published_at IS NOT NULL OR %(unpublished)s)
    RETURNING 1
)
SELECT (SELECT count(*) FROM gone), l.tx::text::bigint, l.seq, o.is_old
FROM (SELECT tx, seq FROM slice ORDER BY tx DESC, seq DESC LIMIT 1) l,
     (SELECT count(*) = %(most)s AND min(created_at) < %(before)s AS is_old FROM slice) o
