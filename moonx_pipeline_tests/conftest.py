"""Fixtures that all tests share: each is a real server."""

from hypothesis import settings

# How long an example takes says nothing on a busy machine.
settings.register_profile("moonx", deadline=None)
settings.load_profile("moonx")

pytest_plugins = [
    "moonx_pipeline_tests.fixtures.database",
    "moonx_pipeline_tests.fixtures.simulator",
    "moonx_pipeline_tests.fixtures.kafka",
    "moonx_pipeline_tests.fixtures.evm",
    "moonx_pipeline_tests.fixtures.redis",
    "moonx_pipeline_tests.fixtures.dagster",
    "moonx_pipeline_tests.fixtures.gateway",
]
