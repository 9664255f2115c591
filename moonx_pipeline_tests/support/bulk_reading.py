"""Bulk reading of one node, as tests of it start it."""

from __future__ import annotations

from moonx_pipeline.providers.bulk_balances import BulkBalances
from moonx_pipeline.providers.http import HttpClient
from moonx_pipeline.providers.node_calls import Endpoint, NodeCalls


def bulk_reader(url: str, rpc: HttpClient) -> BulkBalances:
    """A reader that has learnt nothing yet of the node."""
    return BulkBalances(NodeCalls(Endpoint(1, url, "rpc", "The node", {}), http=rpc, batch_size=100))
