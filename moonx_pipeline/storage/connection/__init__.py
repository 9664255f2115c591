"""The connection to PostgreSQL: engine, embedded server, migrations, retries, notifications."""
