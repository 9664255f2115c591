-- Requests: one that waits a user, what each caller was answered, and how far the launch of a run has come.

ALTER TABLE sync_requests
    ADD COLUMN priority_rank smallint NOT NULL
        GENERATED ALWAYS AS (CASE priority WHEN 'high' THEN 1 WHEN 'medium' THEN 2 ELSE 3 END) STORED,
    ADD COLUMN launches      integer NOT NULL DEFAULT 0 CHECK (launches >= 0),
    ADD COLUMN launched_at   timestamptz,
    ADD COLUMN look_at       timestamptz,
    ADD COLUMN served_by     uuid,
    ADD CHECK ((launched_at IS NULL) = (look_at IS NULL));

COMMENT ON COLUMN sync_requests.launches IS 'Runs that were started for it, ever; the key of a run has its number.';
COMMENT ON COLUMN sync_requests.launched_at IS 'When a run was started that is to serve it; null while none is.';
COMMENT ON COLUMN sync_requests.look_at IS 'When to look what became of that run, should the request still wait then.';
COMMENT ON COLUMN sync_requests.served_by IS 'The request of the same user that serves this one as well.';
COMMENT ON COLUMN sync_requests.attempts IS 'How often it was lost: with the process that had it, or with a run that never began.';

-- Of those that wait for one user, the most urgent serves them all.
UPDATE sync_requests r
SET status = 'cancelled', served_by = x.first, completed_at = now(), reason = 'Request ' || x.first || ' serves it as well.'
FROM (SELECT id, first_value(id) OVER (PARTITION BY user_id ORDER BY priority_rank, created_at, id) AS first
      FROM sync_requests WHERE status = 'pending') x
WHERE r.id = x.id AND x.id <> x.first;

CREATE UNIQUE INDEX sync_requests_one_pending ON sync_requests (user_id) WHERE status = 'pending';
CREATE INDEX sync_requests_waiting ON sync_requests (priority_rank, created_at)
    WHERE status = 'pending' AND launched_at IS NULL;
CREATE INDEX sync_requests_under_way ON sync_requests (look_at)
    WHERE status = 'claimed' OR (status = 'pending' AND launched_at IS NOT NULL);

-- A caller's own name for what he asked, and what he was answered: asking again is answered the same.
CREATE TABLE sync_request_keys (
    user_id         text NOT NULL,
    idempotency_key text NOT NULL,
    request_id      uuid NOT NULL REFERENCES sync_requests ON DELETE CASCADE,
    remaining       integer,
    reset_at        timestamptz,
    created_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, idempotency_key)
);

CREATE INDEX sync_request_keys_request ON sync_request_keys (request_id);

CREATE FUNCTION permits_left(p_key text, p_limit integer, p_window interval)
RETURNS TABLE (remaining integer, reset_at timestamptz) LANGUAGE sql STABLE AS $$
    -- What is left of a limit now, and when the next permit comes back; nothing is taken.
    SELECT p_limit - coalesce(sum(x.cost), 0)::integer, min(x.at) + p_window
    FROM rate_limits r, unnest(r.taken_at, r.taken) AS x(at, cost)
    WHERE r.key = p_key AND x.at > moonx_clock() - p_window
$$;

-- While it has its row, no sync is started but those that run already.
CREATE TABLE sync_pause (
    is_paused boolean PRIMARY KEY DEFAULT true CHECK (is_paused),
    reason    text NOT NULL CHECK (reason <> ''),
    paused_at timestamptz NOT NULL DEFAULT now(),
    paused_by text NOT NULL
);
