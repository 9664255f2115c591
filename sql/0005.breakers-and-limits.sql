-- State of the circuit breakers and rate limits, shared by all workers.

CREATE TABLE circuit_breakers (
    key           text PRIMARY KEY,
    state         text NOT NULL DEFAULT 'closed' CHECK (state IN ('closed', 'open', 'half_open')),
    failure_count integer NOT NULL DEFAULT 0 CHECK (failure_count >= 0),
    opened_at     timestamptz,
    retry_at      timestamptz,
    CHECK ((state = 'closed') = (opened_at IS NULL))
);

CREATE TABLE rate_limits (
    key           text PRIMARY KEY,
    blocked_until timestamptz
);
