"""A request to a provider."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class Request(NamedTuple):
    """What is sent, and what each try of it counts for.

    Attributes:
        method: ``GET`` or ``POST``.
        url: Never shown: it may hold a key.
        endpoint: Its short name, for the tally.
        chain_id: The chain asked about, if it is one.
        cost: What it counts for in the provider's measure of requests.
        compute_units: What it costs.
        params: Of the query.
        json: The body.
    """

    method: str
    url: str
    endpoint: str
    chain_id: int | None = None
    cost: int = 1
    compute_units: int = 0
    params: Mapping[str, str] | None = None
    json: Any = None
