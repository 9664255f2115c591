-- The transactional outbox: an event is a row of the transaction that it tells of.

CREATE TABLE outbox_events (
    id           uuid PRIMARY KEY,
    seq          bigint GENERATED ALWAYS AS IDENTITY,
    -- The transaction that wrote it: a reader that waits until no older one runs can miss no late commit.
    tx           xid8 NOT NULL DEFAULT pg_current_xact_id(),
    topic        text NOT NULL,
    key          text NOT NULL,
    type         text NOT NULL,
    version      bigint NOT NULL DEFAULT 0,
    payload      jsonb NOT NULL,
    headers      jsonb NOT NULL DEFAULT '{}',
    -- Events of one key share a shard, and a shard has one active publisher: so their order is kept.
    shard        smallint NOT NULL GENERATED ALWAYS AS ((hashtextextended(key, 0) & 15)::smallint) STORED,
    created_at   timestamptz NOT NULL DEFAULT now(),
    published_at timestamptz,
    error        text
) WITH (fillfactor = 90);

CREATE INDEX outbox_events_unpublished ON outbox_events (shard, seq) WHERE published_at IS NULL;
CREATE INDEX outbox_events_stream ON outbox_events (tx, seq);
CREATE INDEX outbox_events_created ON outbox_events USING brin (created_at);

COMMENT ON COLUMN outbox_events.error IS 'Why the broker will never take it; it was set aside and published_at says when.';

CREATE FUNCTION notify_outbox() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('moonx_outbox', '');
    RETURN NULL;
END
$$;

CREATE TRIGGER outbox_events_notify AFTER INSERT ON outbox_events
FOR EACH STATEMENT EXECUTE FUNCTION notify_outbox();
