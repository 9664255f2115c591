"""A client that does not keep up costs the others nothing."""

import psutil

from moonx_pipeline.gateway.live.connections import MOST_WAITING
from moonx_pipeline_tests.fixtures.dagster import eventually
from moonx_pipeline_tests.fixtures.gateway import GatewayProcess
from moonx_pipeline_tests.gateway.live.clients import BareSocket, connected
from moonx_pipeline_tests.support.live_events import tell, updated

_LARGE = "x" * 200_000
_MANY = MOST_WAITING * 3


def test_a_client_that_stops_reading_is_dropped_while_its_user_is_told_all(gateway: GatewayProcess) -> None:
    stuck = BareSocket(gateway)
    stuck.join("ann")
    before = connections(gateway)
    with connected(gateway, "ann") as reading:
        for version in range(1, _MANY + 1):
            tell(gateway.engine, updated("ann", version, filler=_LARGE))
        lines = reading.until("portfolio_update", version=_MANY)
        eventually(lambda: is_true(connections(gateway) == before))

        assert [line["data"]["version"] for line in lines] == list(range(1, _MANY + 1))
    # It never had more than a bounded part of what was told, and its connection is cut rather than waited for.
    assert stuck.until_cut() < _MANY * len(_LARGE) / 2
    stuck.close()
    assert "slow client dropped" in gateway.log


def test_a_client_larger_than_its_bound_is_cut(gateway: GatewayProcess) -> None:
    large = BareSocket(gateway)
    large.send("42" + "x" * 70_000)
    large.until_cut()
    large.close()


def connections(gateway: GatewayProcess) -> int:
    found = psutil.Process(gateway.process.pid).net_connections("tcp")
    return sum(1 for c in found if c.status == psutil.CONN_ESTABLISHED and c.laddr.port == gateway.port)


def is_true(value: bool) -> None:
    assert value
