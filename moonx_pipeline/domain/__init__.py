"""Pure rules of the product: no I/O, no clock, no environment, no Dagster."""
