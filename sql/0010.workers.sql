-- Which of the processes that carry syncs take Dagster's runs: backfills leave one of them free.

ALTER TABLE worker_processes ADD COLUMN takes_runs boolean NOT NULL DEFAULT false;

COMMENT ON COLUMN worker_processes.takes_runs IS 'Whether it is a process of a worker, which takes one run after the other.';
