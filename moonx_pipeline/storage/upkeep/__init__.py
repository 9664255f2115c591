"""History, retention, garbage collection and backups."""
