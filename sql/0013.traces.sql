-- Runs with code from: 0012.webhooks
-- Whose trace a request belongs to, in W3C's form: the run that serves it goes on from there.

ALTER TABLE sync_requests ADD COLUMN traceparent text;
