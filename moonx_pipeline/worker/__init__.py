"""The worker: warm processes that carry Dagster's runs, one run a process at a time."""
