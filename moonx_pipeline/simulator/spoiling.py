"""The faults inside one answer that looks good."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from moonx_pipeline.simulator.faults import Fault
from moonx_pipeline.simulator.market import SimQuote
from moonx_pipeline.simulator.tokens import SimToken


class Spoiled:
    """The faults inside one answer; usually none."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self._faults = list(faults)

    def of(self, kind: str, token: SimToken | None = None) -> Fault | None:
        """The fault of a kind that hits a token: one that names this token or none."""
        for fault in self._faults:
            named = str(fault.params.get("token") or "").lower()
            if fault.kind == kind and (not named or token is None or named == token.address):
                return fault
        return None

    def has(self, kind: str, token: SimToken | None = None) -> bool:
        """Whether there is such a fault."""
        return self.of(kind, token) is not None

    def in_row(self, kind: str, token: SimToken, number: int, *, usual: int = 1) -> Fault | None:
        """The fault of a kind that hits a list's row: that of the token it names, else that of the usual number."""
        fault = self.of(kind, token)
        return fault if fault is not None and (fault.params.get("token") or number == usual) else None

    def quote(self, quote: SimQuote | None, token: SimToken) -> SimQuote | None:
        """A price with ``scaled_price`` and ``old_quotes`` applied."""
        if quote is None:
            return None
        scaled, old = self.of("scaled_price", token), self.of("old_quotes", token)
        if scaled:
            quote = replace(quote, price=quote.price * Decimal(str(scaled.params["factor"])))
        if old:
            quote = replace(quote, at=quote.at - timedelta(days=float(old.params["days"])))
        return quote
