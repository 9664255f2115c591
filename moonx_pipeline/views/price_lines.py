"""Price lines as JSON: the ``data`` of ``GET /api/v1/portfolio/price-lines``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from moonx_pipeline.domain.events import rfc3339
from moonx_pipeline.domain.money import plain
from moonx_pipeline.domain.quotes import PriceSource
from moonx_pipeline.storage.tokens.price_lines import StoredLine


def price_lines_json(lines: Iterable[StoredLine]) -> dict[str, Any]:
    """Lines of prices; decimals are strings."""
    return {
        "lines": [
            {
                "chainId": line.chain_id,
                "tokenAddress": line.token,
                "source": PriceSource.COINGECKO.value,
                "endsAt": rfc3339(line.read_at),
                "prices": [None if price is None else plain(price) for price in line.prices],
            }
            for line in lines
        ]
    }
