-- What each part may do in the database. 'moonx migrate --roles' runs it after the migrations, as the owner of the
-- schema; it says all there is to say, so running it again changes nothing.
--
--   moonx_worker   workers and Dagster's processes: read and write what syncs store; own Dagster's tables, Celery's,
--                  and the months of history, which the nightly maintenance makes and drops
--   moonx_gateway  API and page: read all; write users, requests, and what operators change
--   moonx_relay    events: read them, and mark them as published
--
-- None of them may change the schema that migrations make, nor roles; only the owner may.

REVOKE ALL ON ALL TABLES IN SCHEMA public FROM moonx_worker, moonx_gateway, moonx_relay;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO moonx_worker, moonx_gateway, moonx_relay;
GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO moonx_worker, moonx_gateway;

-- The worker.
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO moonx_worker;
REVOKE INSERT, UPDATE, DELETE ON schema_migrations FROM moonx_worker;
GRANT CREATE ON SCHEMA public TO moonx_worker; -- the months of history are tables of their own
ALTER SCHEMA dagster OWNER TO moonx_worker;
ALTER SCHEMA celery OWNER TO moonx_worker;
DO $$
DECLARE
    its record;
BEGIN
    FOR its IN
        SELECT c.oid::regclass AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relowner <> 'moonx_worker'::regrole AND c.relkind IN ('r', 'p', 'v')
          AND (n.nspname IN ('dagster', 'celery')
               OR n.nspname = 'public' AND c.relname ~ '^user_token_holdings_history')
    LOOP
        EXECUTE format('ALTER TABLE %s OWNER TO moonx_worker', its.name);
    END LOOP;
    FOR its IN
        SELECT c.oid::regclass AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relowner <> 'moonx_worker'::regrole AND c.relkind = 'S' AND n.nspname IN ('dagster', 'celery')
    LOOP
        EXECUTE format('ALTER SEQUENCE %s OWNER TO moonx_worker', its.name);
    END LOOP;
    -- The planner needs fresh statistics; before 17 only an owner may have them gathered.
    IF current_setting('server_version_num')::integer >= 170000 THEN
        GRANT MAINTAIN ON ALL TABLES IN SCHEMA public TO moonx_worker;
    END IF;
END $$;

-- What an operator's command makes of Dagster's or Celery's tables as the owner, before the parts have, is theirs, too.
ALTER DEFAULT PRIVILEGES IN SCHEMA dagster, celery GRANT ALL ON TABLES TO moonx_worker;
ALTER DEFAULT PRIVILEGES IN SCHEMA dagster, celery GRANT ALL ON SEQUENCES TO moonx_worker;

-- The gateway. It removes what a removed wallet held, and writes no holding, price or history.
GRANT SELECT ON ALL TABLES IN SCHEMA public TO moonx_gateway;
GRANT DELETE ON user_token_holdings, user_token_holdings_history, sync_evidence TO moonx_gateway;
GRANT INSERT, UPDATE, DELETE ON user_chain_status TO moonx_gateway; -- the end of a cancelled sync is written there, too
GRANT INSERT, UPDATE, DELETE ON
    user_wallets, user_sync_status, sync_requests, sync_request_keys, sync_pause, circuit_breakers, rate_limits,
    webhook_deliveries, webhook_networks, sign_in_codes
TO moonx_gateway;
GRANT UPDATE ON sync_operations TO moonx_gateway;
GRANT INSERT ON outbox_events TO moonx_gateway;
GRANT USAGE ON SCHEMA dagster TO moonx_gateway;
GRANT SELECT ON ALL TABLES IN SCHEMA dagster TO moonx_gateway; -- whether its daemon lives
ALTER DEFAULT PRIVILEGES IN SCHEMA dagster GRANT SELECT ON TABLES TO moonx_gateway;
ALTER DEFAULT PRIVILEGES FOR ROLE moonx_worker IN SCHEMA dagster GRANT SELECT ON TABLES TO moonx_gateway;

-- The relay.
GRANT SELECT ON schema_migrations TO moonx_relay;
GRANT SELECT, UPDATE (published_at, error) ON outbox_events TO moonx_relay;
GRANT SELECT ON outbox_packs TO moonx_relay;
