"""Dagster's partitions: one a user."""

import dagster as dg

users = dg.DynamicPartitionsDefinition(name="users")
