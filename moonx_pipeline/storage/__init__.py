"""PostgreSQL: one module a subject, set-based statements, no rules."""
