"""Faults on demand, of providers and of the networks before them.

A fault is switched on by kind, for one provider's answers, and optionally narrowed down::

    simulator.fault("outage", "dexscreener", times=2)
    simulator.fault("three_word_balance", params={"token": CONTRACT})
    simulator.fault("call_refused", endpoint="eth_call", params={"code": -32016, "after": 20})

Whole answers, of the providers that have them: ``rate_limit`` ``quota`` ``bad_key`` ``forbidden`` ``outage`` ``banned``
``firewall`` ``geo_block`` ``wrong_host``, and of all: ``status`` (params ``status``, which may be 600 or 999, ``body``,
``headers``), ``early_hints`` (a 103 before the good answer), ``hang`` ``reset`` ``truncate`` ``malformed``
``wrong_types`` ``slow_drip`` and ``slow_headers`` (a byte in ``seconds``) ``oversized`` (``bytes``) ``nested`` (a good
answer with lists within lists, ``depth``). Those with a header take ``retry_after``.

``rpc`` means the nodes of ``/node/{chain}``; their networks are ``ethereum``, ``polygon`` and so on.

Faults inside an answer that looks good (``token`` in params narrows each down to one contract):

================== ============================= ================================================================
kind               of                            what it does; params
================== ============================= ================================================================
partial_error      alchemy lists                 ``network`` is left out, with an error
silent_network     alchemy lists                 ``network`` is left out, without a word
missing_page       alchemy lists                 a page without rows
missing_row        alchemy lists                 without the row of ``token``
endless_page_key   alchemy lists                 the last page names the first
duplicate_tokens   alchemy lists                 rows twice
0x_balance         alchemy lists, JSON-RPC       a balance ``0x``; without a token, the native coin's
three_word_balance alchemy lists, JSON-RPC, rpc  96 bytes, the first word is the balance
token_error        alchemy lists, JSON-RPC       no balance but an error; ``message``
null_metadata      alchemy names                 all four fields null
null_decimals      alchemy names                 decimals null
odd_decimals       alchemy names                 ``value``; by default 1.157920892373162e+77
lone_surrogate     alchemy names                 ends with ``\\ud800``; ``field``, by default ``name``
named_native       alchemy names                 a list names the native coin, too
metadata_refused   alchemy names                 -32602
call_refused       alchemy JSON-RPC, rpc         single calls refused with 200; ``code``, ``message``, ``method``,
                                                 ``after`` so many good ones
empty_answer       all                           ``[]``, ``{}`` or no rows
null_answer        all                           ``null``
zero_price         all                           a price of 0
no_price           all                           no price; at DexScreener null, or ``absent``
no_liquidity       dexscreener                   ``liquidity`` left out
low_confidence     defillama                     ``value``; by default 0.1
scaled_price       all                           every price times ``factor``
old_quotes         alchemy, coingecko, defillama times of ``days`` ago
================== ============================= ================================================================

Row faults without a ``token`` hit each wallet's first token beside the native coin. With a ``token`` and ``times``,
an answer to a request that names other contracts only does not count.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Set
from dataclasses import dataclass, field
from typing import Any, Final

from moonx_pipeline.simulator.fault_answers import BROKEN, OF_ANY_PROVIDER, has_answer

LIST_FAULTS: Final = frozenset(
    {"partial_error", "silent_network", "missing_page", "missing_row", "endless_page_key", "duplicate_tokens"}
)
ROW_FAULTS: Final = frozenset({"0x_balance", "three_word_balance", "token_error"})
NAME_FAULTS: Final = frozenset(
    {"null_metadata", "null_decimals", "odd_decimals", "lone_surrogate", "named_native", "metadata_refused"}
)
QUOTE_FAULTS: Final = frozenset({"zero_price", "no_price", "scaled_price", "old_quotes"})
EMPTY_FAULTS: Final = frozenset({"empty_answer", "null_answer"})
_INSIDE: Final[dict[str, Set[str]]] = {
    "alchemy": LIST_FAULTS | ROW_FAULTS | NAME_FAULTS | QUOTE_FAULTS | EMPTY_FAULTS | {"call_refused"},
    "binance": (QUOTE_FAULTS | EMPTY_FAULTS) - {"old_quotes"},
    "coingecko": QUOTE_FAULTS | EMPTY_FAULTS,
    "defillama": QUOTE_FAULTS | EMPTY_FAULTS | {"low_confidence"},
    "rpc": {"call_refused", "three_word_balance", "null_answer"},
    "dexscreener": (QUOTE_FAULTS | EMPTY_FAULTS | {"no_liquidity"}) - {"old_quotes"},
}
IN_ANSWER: Final = frozenset[str]().union(*_INSIDE.values())
"""Faults inside an answer that looks good; the routes apply them."""


@dataclass(slots=True)
class Fault:
    """A fault that is switched on.

    Attributes:
        id: The number to switch it off by.
        kind: As in the list above.
        provider: The provider whose answers it hits.
        endpoint, network, wallet: Hits only these; ``None`` is any. In a JSON-RPC batch any call may be the endpoint's.
        times: How many more answers it hits; ``None`` is no limit.
        params: As in the list above.
    """

    id: int
    kind: str
    provider: str
    endpoint: str | None = None
    network: str | None = None
    wallet: str | None = None
    times: int | None = None
    params: dict[str, Any] = field(default_factory=dict)


class Faults:
    """The faults that are on, and the requests since the last reset."""

    def __init__(self) -> None:
        self._active: list[Fault] = []
        self._ids = itertools.count(1)
        self.latency_ms: dict[str, float] = {}
        self.requests: Counter[str] = Counter()
        self.compute_units = 0

    def add(self, **values: Any) -> Fault:
        """Switches a fault on.

        Raises:
            ValueError: The provider has no such fault, or the fault lacks the network or the number it needs.
        """
        fault = Fault(id=next(self._ids), **values)
        if fault.provider not in _INSIDE:
            raise ValueError(f"There is no provider '{fault.provider}', only {', '.join(_INSIDE)}.")
        if not (_is_inside(fault) or fault.kind in OF_ANY_PROVIDER or has_answer(fault.provider, fault.kind)):
            raise ValueError(f"There is no fault '{fault.kind}' of {fault.provider}.")
        if fault.kind in ("partial_error", "silent_network") and not fault.network:
            raise ValueError(f"A fault '{fault.kind}' needs the network to leave out.")
        needed = {"status": "status", "scaled_price": "factor", "old_quotes": "days"}.get(fault.kind)
        if needed and needed not in fault.params:
            raise ValueError(f"A fault '{fault.kind}' needs '{needed}' in its params.")
        self._active.append(fault)
        return fault

    def clear(self, fault_id: int | None = None) -> None:
        """Switches off one fault, or all."""
        self._active = [fault for fault in self._active if fault_id is not None and fault.id != fault_id]

    def take(
        self,
        provider: str,
        endpoints: Set[str],
        kinds: Set[str] | None = None,
        *,
        networks: Set[str],
        wallets: Set[str],
        tokens: Set[str] | None = None,
    ) -> Iterator[Fault]:
        """The faults that fit a request, each counted as used.

        Args:
            provider, endpoints: The provider and endpoints of the request.
            kinds: Kinds of faults inside an answer; ``None`` for those of whole answers.
            networks, wallets: The networks and wallets asked about.
            tokens: The contracts asked about; ``None`` if the answer decides them.
        """
        for fault in list(self._active):
            if fault.kind in IN_ANSWER if kinds is None else fault.kind not in kinds:
                continue
            if fault.provider != provider or (fault.endpoint and fault.endpoint not in endpoints):
                continue
            if (fault.network and fault.network not in networks) or (fault.wallet and fault.wallet not in wallets):
                continue
            token = fault.params.get("token")
            if tokens is not None and token and token.lower() not in tokens:
                continue
            if fault.times is not None:
                fault.times -= 1
                if fault.times <= 0:
                    self._active.remove(fault)
            yield fault


def _is_inside(fault: Fault) -> bool:
    return fault.kind in _INSIDE.get(fault.provider, ())


def needs_good_answer(fault: Fault) -> bool:
    """Whether a fault still sends some of the good answer."""
    return fault.kind in BROKEN or fault.kind == "early_hints"
