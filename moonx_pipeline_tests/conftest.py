"""Fixtures that all tests share: each is a real server."""

pytest_plugins = [
    "moonx_pipeline_tests.fixtures.database",
    "moonx_pipeline_tests.fixtures.simulator",
    "moonx_pipeline_tests.fixtures.kafka",
    "moonx_pipeline_tests.fixtures.evm",
]
