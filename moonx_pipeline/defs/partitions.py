"""One partition a user."""

import dagster as dg

users = dg.DynamicPartitionsDefinition(name="users")
