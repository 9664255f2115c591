"""The ports that servers of demos, benchmarks and tests are given."""

from moonx_pipeline.simulator.server import free_port, listening_socket


def test_ports_that_nothing_listens_on_yet_are_not_given_twice() -> None:
    ports = [free_port() for _ in range(3_000)]

    assert len(set(ports)) == len(ports)


def test_ports_are_not_of_those_that_outgoing_connections_take() -> None:
    assert {10_240 <= free_port() < 32_768 for _ in range(100)} == {True}


def test_a_port_that_something_listens_on_is_passed_over() -> None:
    following = free_port() + 1

    with listening_socket(following):
        assert free_port() != following
