-- Circuit breakers and rate limits: their rules as functions, so that a decision is one round trip, atomic
-- under the lock of its row, by the clock of the database. And the processes that carry syncs, so that the
-- work of a dead one is found.

CREATE FUNCTION moonx_clock() RETURNS timestamptz LANGUAGE sql VOLATILE AS $$
    -- Now, not the start of the transaction, so that it can be read after a lock was waited for. A session
    -- may set a clock of its own, for tests and rehearsals.
    SELECT coalesce(nullif(current_setting('moonx.clock', true), '')::timestamptz, clock_timestamp())
$$;

-- Rate limits ------------------------------------------------------------------------------------------

ALTER TABLE rate_limits
    ADD COLUMN taken_at     timestamptz[] NOT NULL DEFAULT '{}',
    ADD COLUMN taken        integer[] NOT NULL DEFAULT '{}',
    ADD COLUMN last_slot    timestamptz,
    ADD COLUMN blocked_at   timestamptz,
    ADD COLUMN block_reason text,
    ADD COLUMN strikes      integer NOT NULL DEFAULT 0 CHECK (strikes >= 0),
    ADD COLUMN refusals     bigint NOT NULL DEFAULT 0,
    ADD CHECK (cardinality(taken_at) = cardinality(taken)),
    SET (fillfactor = 50);

COMMENT ON COLUMN rate_limits.taken_at IS 'The log of what was granted within the window, the oldest first; taken says how much.';
COMMENT ON COLUMN rate_limits.last_slot IS 'The time for which something was granted last; in the future while callers queue.';
COMMENT ON COLUMN rate_limits.blocked_until IS 'Nothing is granted before: the provider said so, or it refused without saying.';
COMMENT ON COLUMN rate_limits.strikes IS 'Refusals in a row without a time to come back; each doubles the block.';
COMMENT ON COLUMN rate_limits.refusals IS 'Callers that were turned away, ever.';

CREATE FUNCTION take_permits(
    p_keys text[], p_costs integer[], p_limits integer[], p_windows interval[], p_patience interval)
RETURNS TABLE (granted boolean, wait_seconds double precision, slot timestamptz, remaining integer,
               reset_at timestamptz, refused_by text)
LANGUAGE plpgsql AS $$
-- Takes what one call costs of each of its limits, all or nothing, and says when the call may be made.
--
-- A limit is a sliding window: in no window of its length is more granted than the limit. What is granted
-- is kept as a log; above 64 permits a window, times are rounded up to a 64th of it, so that a row stays
-- small and the limit still holds. A limit of null only heeds blocks.
--
-- A caller that has to wait, and has the patience, is given a slot of his own behind all that were given
-- before, one share of the window after the last. So callers wake one by one and need not ask again.
--
-- remaining and reset_at are of the first key: what is left of it now, and when the next permit comes back.
-- A refusal takes nothing; slot is then the time to come back, and refused_by the key that refused.
DECLARE
    grain_limit CONSTANT integer := 64;
    now timestamptz;
    l record;
    earliest timestamptz;
    fit timestamptz;
    entry timestamptz;
BEGIN
    -- A database that crashes loses at most the grants of half a second, less than it takes to come back.
    IF p_patience > interval '0' THEN
        PERFORM set_config('synchronous_commit', 'off', true);
    END IF;
    PERFORM 1 FROM rate_limits r WHERE r.key = ANY (p_keys) ORDER BY r.key FOR UPDATE;
    GET DIAGNOSTICS remaining = ROW_COUNT;
    IF remaining < cardinality(p_keys) THEN
        INSERT INTO rate_limits (key) SELECT k FROM unnest(p_keys) AS k ORDER BY k ON CONFLICT DO NOTHING;
        PERFORM 1 FROM rate_limits r WHERE r.key = ANY (p_keys) ORDER BY r.key FOR UPDATE;
    END IF;
    now := moonx_clock();
    slot := now;
    FOR l IN
        SELECT u.key, least(u.cost, u.max) AS cost, u.max, u.span, u.n, r.taken_at, r.taken, r.last_slot, r.blocked_until
        FROM unnest(p_keys, p_costs, p_limits, p_windows) WITH ORDINALITY AS u(key, cost, max, span, n)
        JOIN rate_limits r USING (key)
    LOOP
        -- The newest entry that must have left the window before this one fits in.
        SELECT max(e.at) + l.span INTO fit
        FROM (SELECT x.at, sum(x.cost) OVER (ORDER BY x.n DESC) AS since
              FROM unnest(l.taken_at, l.taken) WITH ORDINALITY AS x(at, cost, n)) e
        WHERE e.since > l.max - l.cost;
        earliest := greatest(now, l.last_slot, l.blocked_until, fit);
        IF earliest > now AND p_patience > interval '0' THEN
            earliest := greatest(earliest, l.last_slot + l.span * (l.cost::double precision / l.max));
        END IF;
        IF earliest > slot THEN
            slot := earliest;
            refused_by := l.key;
        END IF;
        IF l.n = 1 AND l.max IS NOT NULL THEN
            SELECT l.max - coalesce(sum(x.cost), 0), min(x.at) + l.span INTO remaining, reset_at
            FROM unnest(l.taken_at, l.taken) AS x(at, cost) WHERE x.at > now - l.span;
        END IF;
    END LOOP;
    wait_seconds := extract(epoch FROM slot - now);
    granted := slot <= now + p_patience;
    IF NOT granted THEN
        UPDATE rate_limits r SET refusals = r.refusals + 1 WHERE r.key = refused_by;
        RETURN NEXT;
        RETURN;
    END IF;
    refused_by := NULL;
    FOR l IN
        SELECT u.key, least(u.cost, u.max) AS cost, u.max, u.span, u.n, r.taken_at, r.taken
        FROM unnest(p_keys, p_costs, p_limits, p_windows) WITH ORDINALITY AS u(key, cost, max, span, n)
        JOIN rate_limits r USING (key)
        WHERE u.max IS NOT NULL
    LOOP
        entry := slot;
        IF l.max > grain_limit THEN
            entry := date_bin(l.span / grain_limit, slot - interval '1 microsecond', timestamptz '2000-01-01 00:00Z')
                     + l.span / grain_limit;
        END IF;
        UPDATE rate_limits r
        SET last_slot = slot, (taken_at, taken) = (
            SELECT array_agg(e.at ORDER BY e.at), array_agg(e.cost ORDER BY e.at)
            FROM (SELECT x.at, sum(x.cost)::integer AS cost
                  FROM (SELECT * FROM unnest(l.taken_at, l.taken) UNION ALL SELECT entry, l.cost) AS x(at, cost)
                  WHERE x.at > slot - l.span
                  GROUP BY x.at) e)
        WHERE r.key = l.key;
        IF l.n = 1 THEN
            remaining := remaining - l.cost;
            reset_at := coalesce(reset_at, entry + l.span);
        END IF;
    END LOOP;
    RETURN NEXT;
END
$$;

CREATE FUNCTION block_key(p_key text, p_wait interval, p_slot timestamptz, p_reason text) RETURNS timestamptz
LANGUAGE plpgsql AS $$
-- Grants nothing for a key until a time, since its provider refused a call; returns that time.
--
-- p_wait is how long the provider wants to be left alone; null where it does not say. Then the block is a
-- second, doubled by each refusal in a row, five minutes at most. p_slot is the time for which the refused
-- call had been granted: calls that were under way when a block began are refused by the same limit, so
-- their refusals do not lengthen it.
DECLARE
    now timestamptz;
    r rate_limits;
BEGIN
    INSERT INTO rate_limits (key) VALUES (p_key) ON CONFLICT DO NOTHING;
    SELECT * INTO r FROM rate_limits WHERE key = p_key FOR UPDATE;
    now := moonx_clock();
    IF p_wait IS NULL THEN
        IF p_slot <= r.blocked_at THEN
            RETURN r.blocked_until;
        END IF;
        r.strikes := CASE WHEN r.blocked_until > now - interval '1 minute' THEN least(r.strikes, 20) + 1 ELSE 1 END;
        p_wait := least(interval '1 second' * power(2, r.strikes - 1), interval '5 minutes');
    END IF;
    UPDATE rate_limits
    SET blocked_until = greatest(r.blocked_until, now + p_wait), blocked_at = now, block_reason = p_reason,
        strikes = r.strikes
    WHERE key = p_key
    RETURNING blocked_until INTO r.blocked_until;
    RETURN r.blocked_until;
END
$$;

-- Circuit breakers -------------------------------------------------------------------------------------

ALTER TABLE circuit_breakers
    ADD COLUMN epoch           bigint NOT NULL DEFAULT 0,
    ADD COLUMN cause           text,
    ADD COLUMN last_error      text,
    ADD COLUMN last_failure_at timestamptz,
    ADD COLUMN changed_at      timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN openings        bigint NOT NULL DEFAULT 0,
    ADD CHECK ((state = 'closed') = (retry_at IS NULL)),
    ADD CHECK ((state = 'closed') = (cause IS NULL)),
    SET (fillfactor = 50);

COMMENT ON COLUMN circuit_breakers.opened_at IS 'Since when it is not closed.';
COMMENT ON COLUMN circuit_breakers.retry_at IS 'When a probe is let through: of an open one the end of its time, of a half-open one the end of the lease of the probe under way.';
COMMENT ON COLUMN circuit_breakers.epoch IS 'Grows with each change of state and with each probe; what a caller of an earlier epoch found out changes nothing.';
COMMENT ON COLUMN circuit_breakers.openings IS 'How often it went from closed to open, ever.';

CREATE FUNCTION admit_calls(p_keys text[], p_lease interval)
RETURNS TABLE (key text, admitted boolean, state text, epoch bigint, failure_count integer, opened_at timestamptz,
               retry_at timestamptz, cause text, last_error text)
LANGUAGE plpgsql AS $$
-- How breakers stand, and whether the caller may go on; a key that is not in the answer is closed, of epoch 0.
--
-- Once the time of an open breaker is over, one caller is let through as a probe. It has a lease: when it
-- ends without a report, the next caller is the probe.
DECLARE
    now timestamptz := moonx_clock();
    probes text[] := '{}';
BEGIN
    IF EXISTS (SELECT 1 FROM circuit_breakers b WHERE b.key = ANY (p_keys) AND b.retry_at <= now) THEN
        PERFORM 1 FROM circuit_breakers b WHERE b.key = ANY (p_keys) AND b.retry_at <= now ORDER BY b.key FOR UPDATE;
        now := moonx_clock();
        WITH granted AS (
            UPDATE circuit_breakers b
            SET state = 'half_open', epoch = b.epoch + 1, retry_at = now + p_lease,
                changed_at = CASE WHEN b.state = 'open' THEN now ELSE b.changed_at END
            WHERE b.key = ANY (p_keys) AND b.state <> 'closed' AND b.retry_at <= now
            RETURNING b.key
        )
        SELECT coalesce(array_agg(g.key), '{}') INTO probes FROM granted g;
    END IF;
    RETURN QUERY
    SELECT b.key, b.state = 'closed' OR b.key = ANY (probes), b.state, b.epoch, b.failure_count, b.opened_at,
           b.retry_at, b.cause, b.last_error
    FROM circuit_breakers b WHERE b.key = ANY (p_keys);
END
$$;

CREATE FUNCTION report_calls(
    p_keys text[], p_epochs bigint[], p_outcomes text[], p_errors text[], p_times interval[], p_threshold integer)
RETURNS TABLE (key text, was text, state text, epoch bigint, cause text, was_cause text, failure_count integer,
               opened_at timestamptz, retry_at timestamptz, last_error text)
LANGUAGE plpgsql AS $$
-- Takes in what admitted calls found out; returns the breakers whose state or cause changed.
--
-- Outcomes: ok; failure, of which p_threshold in a row open the breaker; none, which says nothing about the
-- provider and gives a probe's lease back; any other word is a cause that opens it at once. p_times is how
-- long an opening lasts.
DECLARE
    now timestamptz;
    p record;
    b circuit_breakers;
    opens boolean;
BEGIN
    FOR p IN
        SELECT * FROM unnest(p_keys, p_epochs, p_outcomes, p_errors, p_times)
            AS u(key, epoch, outcome, error, open_for) ORDER BY u.key
    LOOP
        IF p.outcome NOT IN ('ok', 'none') THEN
            INSERT INTO circuit_breakers (key) VALUES (p.key) ON CONFLICT DO NOTHING;
        END IF;
        SELECT * INTO b FROM circuit_breakers c WHERE c.key = p.key FOR UPDATE;
        CONTINUE WHEN NOT FOUND OR b.epoch <> p.epoch OR b.state = 'open';
        now := moonx_clock();
        key := b.key; was := b.state; was_cause := b.cause;
        IF p.outcome = 'none' THEN
            IF b.state = 'half_open' THEN
                UPDATE circuit_breakers c SET retry_at = now WHERE c.key = b.key;
            END IF;
            CONTINUE;
        ELSIF p.outcome = 'ok' THEN
            b.failure_count := 0;
            opens := false;
        ELSE
            b.failure_count := b.failure_count + 1;
            b.last_error := p.error;
            b.last_failure_at := now;
            opens := b.state = 'half_open' OR p.outcome <> 'failure' OR b.failure_count >= p_threshold;
        END IF;
        IF opens THEN
            b.openings := b.openings + CASE WHEN b.state = 'closed' THEN 1 ELSE 0 END;
            b.state := 'open'; b.epoch := b.epoch + 1; b.changed_at := now;
            b.opened_at := coalesce(b.opened_at, now); b.retry_at := now + p.open_for;
            b.cause := CASE WHEN p.outcome = 'failure' THEN 'failures' ELSE p.outcome END;
        ELSIF b.state = 'half_open' THEN
            b.state := 'closed'; b.epoch := b.epoch + 1; b.changed_at := now;
            b.opened_at := NULL; b.retry_at := NULL; b.cause := NULL;
        END IF;
        UPDATE circuit_breakers c
        SET state = b.state, failure_count = b.failure_count, opened_at = b.opened_at, retry_at = b.retry_at,
            epoch = b.epoch, cause = b.cause, last_error = b.last_error, last_failure_at = b.last_failure_at,
            changed_at = b.changed_at, openings = b.openings
        WHERE c.key = b.key;
        IF b.state <> was THEN
            state := b.state; epoch := b.epoch; cause := b.cause; failure_count := b.failure_count;
            opened_at := b.opened_at; retry_at := b.retry_at; last_error := b.last_error;
            RETURN NEXT;
        END IF;
    END LOOP;
END
$$;

CREATE FUNCTION close_breaker(p_key text) RETURNS bigint LANGUAGE sql AS $$
    -- Closes a breaker by hand; returns its new epoch, null where it was closed already.
    UPDATE circuit_breakers
    SET state = 'closed', failure_count = 0, opened_at = NULL, retry_at = NULL, cause = NULL, epoch = epoch + 1,
        changed_at = moonx_clock()
    WHERE key = p_key AND state <> 'closed'
    RETURNING epoch
$$;

-- Recovery ---------------------------------------------------------------------------------------------

-- A process that carries syncs holds an advisory lock by its id for as long as it lives. The lock goes with
-- its connection, so what a dead process left can be told from what a living one is at, without heartbeats.
CREATE TABLE worker_processes (
    id           text PRIMARY KEY,
    host         text NOT NULL,
    pid          integer NOT NULL,
    started_at   timestamptz NOT NULL DEFAULT now(),
    recovery_ms  integer
);

COMMENT ON COLUMN worker_processes.recovery_ms IS 'How long it took at its start to close what dead processes had left.';

CREATE FUNCTION worker_lock(p_id text) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT hashtextextended(p_id, 7235420)
$$;

CREATE INDEX sync_operations_worker ON sync_operations (worker_id) WHERE status IN ('pending', 'running');

ALTER TABLE sync_requests ADD COLUMN attempts integer NOT NULL DEFAULT 0 CHECK (attempts >= 0);

COMMENT ON COLUMN sync_requests.attempts IS 'How often a process died with it.';
