-- Runs with code from: 0013.traces
-- Published events of some hours are packed: one row holds a user's events of a part of a day, compressed. After a
-- rollback, the code before it neither replays nor deletes what is packed.

CREATE TABLE outbox_packs (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key           text NOT NULL,
    first_at      timestamptz NOT NULL,
    last_at       timestamptz NOT NULL,
    last_tx       xid8 NOT NULL,
    seqs          bigint[] NOT NULL,
    topics        text[] NOT NULL,
    types         text[] NOT NULL,
    versions      bigint[] NOT NULL,
    operation_ids uuid[] NOT NULL,
    errors        text[] NOT NULL,
    events        bytea NOT NULL
);

-- It is compressed already.
ALTER TABLE outbox_packs ALTER COLUMN events SET STORAGE EXTERNAL;

CREATE INDEX outbox_packs_key ON outbox_packs (key, id);
CREATE INDEX outbox_packs_last ON outbox_packs (last_at);

COMMENT ON TABLE outbox_packs IS 'Published events that moved out of outbox_events; none spans midnight (UTC).';
COMMENT ON COLUMN outbox_packs.id IS 'Later packs have later events of a key; packs become visible in this order.';
COMMENT ON COLUMN outbox_packs.last_tx IS 'No event in it is of a later transaction.';
COMMENT ON COLUMN outbox_packs.events IS 'What the other columns do not say of each event; storage/packs/columns.py.';

-- All events that are kept, by what can be asked of them without unpacking any.
CREATE VIEW kept_events AS
SELECT e.key, e.seq, e.topic, e.type, e.version, e.payload->'data'->>'syncOperationId' AS operation_id,
       e.published_at IS NOT NULL AS is_published
FROM outbox_events e
UNION ALL
SELECT p.key, e.seq, e.topic, e.type, e.version, e.operation_id::text, true
FROM outbox_packs p
CROSS JOIN unnest(p.seqs, p.topics, p.types, p.versions, p.operation_ids)
    AS e(seq, topic, type, version, operation_id);
