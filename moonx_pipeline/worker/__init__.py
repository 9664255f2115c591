"""The worker: warm processes that execute Dagster's runs, one run a process at a time."""
