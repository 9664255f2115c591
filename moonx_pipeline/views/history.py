"""A portfolio's total over time as JSON: the ``data`` of ``GET /api/v1/portfolio/history``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from moonx_pipeline.domain.events import rfc3339
from moonx_pipeline.domain.money import plain
from moonx_pipeline.storage.portfolios.series import Reading, Series
from moonx_pipeline.storage.portfolios.users import AddedWallet

# Totals from before these counts existed have none: unknown, not 0.
_NOT_KEPT: Final = {"lowLiquidity": None, "unread": None}


def history_json(series: Series, added: Sequence[AddedWallet] = ()) -> dict[str, Any]:
    """A series of totals with the wallets that were added meanwhile; decimals are strings, lengths in seconds."""
    return {
        "days": series.days,
        "bucketSeconds": int(series.bucket.total_seconds()),
        "gapSeconds": int(series.gap.total_seconds()),
        "before": _point(series.before) if series.before else None,
        "points": [_point(reading) for reading in series.readings],
        "walletsAdded": [{"walletAddress": one.wallet, "at": rfc3339(one.added_at)} for one in added],
    }


def _point(reading: Reading) -> dict[str, Any]:
    return {
        "at": rfc3339(reading.at),
        "totalValueUsd": plain(reading.total_value_usd),
        "omitted": None if reading.omitted is None else {**_NOT_KEPT, **reading.omitted},
    }
