"""Alchemy's token data API: the balances of several wallets on several networks in one call."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from moonx_pipeline.domain.chains import CHAIN_BY_ID, NATIVE_TOKEN
from moonx_pipeline.domain.portfolio import ChainBalances, ChainOutcome, TokenInfo, TokenKey
from moonx_pipeline.domain.quotes import Quote
from moonx_pipeline.providers.alchemy_networks import CHAIN_OF_NETWORK, COMPUTE_UNITS, NETWORKS
from moonx_pipeline.providers.alchemy_values import parse_balance, read_metadata, read_quote
from moonx_pipeline.providers.bodies import checked
from moonx_pipeline.providers.errors import Malformed
from moonx_pipeline.providers.http import HttpClient
from moonx_pipeline.providers.scope import CallScope

Group = Sequence[tuple[str, Sequence[int]]]
"""Wallets, each with the chain ids to read, that fit into one call."""

Pair = tuple[str, int]

MAX_ADDRESSES: Final = {True: 2, False: 3}  # with metadata, and without
MAX_NETWORKS: Final = {True: 10, False: 20}  # over all addresses of a call; with metadata 5 an address


_NOTHING: Final = msgspec.Raw(b"null")


class _Token(msgspec.Struct, rename="camel"):
    network: str
    address: str
    token_address: str | None = None
    token_balance: str | None = None
    # Read leniently: what is odd about a name or a price must not cost the balance.
    token_metadata: msgspec.Raw = _NOTHING
    token_prices: msgspec.Raw = _NOTHING
    error: str | dict[str, Any] | None = None


class _Data(msgspec.Struct, rename="camel"):
    tokens: list[_Token]
    page_key: str | None = None


class _PartialError(msgspec.Struct, rename="camel"):
    network: str | None = None
    reason: str | None = None
    message: str | None = None


class _Errors(msgspec.Struct, rename="camel"):
    message: str | None = None
    partial_errors: list[_PartialError] = []


class _Page(msgspec.Struct, rename="camel"):
    data: _Data
    error: _Errors | None = None


_decode = msgspec.json.Decoder(_Page).decode


@dataclass(slots=True)
class BalanceReading:
    """What one group of a data call gave.

    Attributes:
        balances: A reading for every wallet and chain that was asked.
        quotes: Prices that came along.
    """

    balances: dict[Pair, ChainBalances] = field(default_factory=dict)
    quotes: dict[TokenKey, Quote] = field(default_factory=dict)


def plan_groups(pairs: Iterable[Pair], *, with_metadata: bool) -> list[list[tuple[str, list[int]]]]:
    """Packs wallets and chains into as few calls as the API allows."""
    by_wallet: dict[str, list[int]] = {}
    for wallet, chain_id in pairs:
        by_wallet.setdefault(wallet, []).append(chain_id)
    groups: list[list[tuple[str, list[int]]]] = []
    for wallet, chain_ids in by_wallet.items():
        last = groups[-1] if groups else []
        fits = len(last) < MAX_ADDRESSES[with_metadata]
        fits = fits and sum(len(ids) for _, ids in last) + len(chain_ids) <= MAX_NETWORKS[with_metadata]
        if groups and fits:
            last.append((wallet, chain_ids))
        else:
            groups.append([(wallet, chain_ids)])
    return groups


def balances_endpoint(*, with_metadata: bool) -> str:
    """The endpoint by its name in the price list."""
    return "tokens/by-address" if with_metadata else "balances/by-address"


class _Collector:
    """The pages of one group, put together."""

    def __init__(self, group: Group, *, with_metadata: bool, now: datetime) -> None:
        self._with_metadata = with_metadata
        self.asked = {(wallet, chain_id) for wallet, chain_ids in group for chain_id in chain_ids}
        self.failed: dict[int, str] = {}
        self.quotes: dict[TokenKey, Quote] = {}
        self._balances: defaultdict[Pair, dict[str, int]] = defaultdict(dict)
        self._unknown: defaultdict[Pair, set[str]] = defaultdict(set)
        self._tokens: defaultdict[Pair, dict[str, TokenInfo]] = defaultdict(dict)
        self._now = now

    def take(self, page: _Page) -> None:
        for problem in page.error.partial_errors if page.error else ():
            chain_id = CHAIN_OF_NETWORK.get(problem.network or "")
            if chain_id is not None:
                self.failed.setdefault(chain_id, problem.reason or problem.message or "it did not answer")
        for row in page.data.tokens:
            chain_id = CHAIN_OF_NETWORK.get(row.network)
            pair = (row.address.lower(), chain_id or 0)
            if chain_id is None or pair not in self.asked:
                continue
            token = row.token_address.lower() if row.token_address else NATIVE_TOKEN
            if token != CHAIN_BY_ID[chain_id].native_as_erc20:
                self._take_row(row, pair, token)

    def _take_row(self, row: _Token, pair: Pair, token: str) -> None:
        balance = None if row.error else parse_balance(row.token_balance, token, pair[1])
        if balance is None:
            # A good answer for the same token on another page is better than none.
            if token not in self._balances[pair]:
                self._unknown[pair].add(token)
        else:
            # A token that comes twice was read at two blocks; the later page is the later reading.
            self._balances[pair][token] = balance
            if pair in self._unknown:
                self._unknown[pair].discard(token)
        if not self._with_metadata:
            return
        metadata = read_metadata(row.token_metadata)
        if token != NATIVE_TOKEN and metadata is not None:
            self._tokens[pair][token] = metadata
        quote = read_quote(row.token_prices, self._now)
        if quote is not None:
            self.quotes[TokenKey(pair[1], token)] = quote

    def reading(self) -> BalanceReading:
        reading = BalanceReading(quotes=self.quotes)
        for wallet, chain_id in self.asked:
            pair = (wallet, chain_id)
            if chain_id in self.failed:
                name = CHAIN_BY_ID[chain_id].name
                reading.balances[pair] = ChainBalances(
                    wallet,
                    chain_id,
                    ChainOutcome.FAILED,
                    source="alchemy",
                    reason=f"Alchemy could not read {name}: {self.failed[chain_id]}.",
                )
            else:
                reading.balances[pair] = ChainBalances(
                    wallet,
                    chain_id,
                    ChainOutcome.OK,
                    balances={token: balance for token, balance in self._balances[pair].items() if balance},
                    unknown=frozenset(self._unknown.get(pair, ())),
                    tokens=self._tokens.get(pair, {}),
                    source="alchemy",
                )
        return reading


def read_group(
    http: HttpClient,
    url: str,
    group: Group,
    *,
    with_metadata: bool,
    max_pages: int,
    scope: CallScope,
    slot: datetime | None = None,
) -> BalanceReading:
    """Reads a group, all of its pages.

    Args:
        http: Alchemy's connections.
        url: The API with its key.
        group: Wallets and chains that fit into one call.
        with_metadata: Whether names, decimals and prices are wanted, too.
        max_pages: More pages are an error: a list is whole or it is not used.
        scope: Deadline and tally.
        slot: Of the turn that was reserved for the first page.

    Raises:
        ProviderError: A page could not be read, so no list is known to be whole. A network that fails by
            itself is a failed reading in the result.
    """
    endpoint = balances_endpoint(with_metadata=with_metadata)
    path = "assets/tokens/by-address" if with_metadata else "assets/tokens/balances/by-address"
    request: dict[str, Any] = {
        "addresses": [
            {"address": wallet, "networks": [NETWORKS[chain_id] for chain_id in chain_ids]}
            for wallet, chain_ids in group
        ],
        "includeNativeTokens": True,
    }
    if with_metadata:
        request |= {"withMetadata": True, "withPrices": True}
    collector = _Collector(group, with_metadata=with_metadata, now=datetime.now(UTC))
    seen: set[str] = set()
    while True:
        body = http.send(
            "POST",
            f"{url}/{path}",
            scope=scope,
            endpoint=endpoint,
            compute_units=COMPUTE_UNITS[endpoint],
            json=request,
            classify=checked("alchemy", _decode),
            slot=slot,
        )
        slot = None
        page = _decode(body)
        collector.take(page)
        key = page.data.page_key
        if not key:
            return collector.reading()
        if key in seen:
            raise Malformed("alchemy sent the same page key twice, so its list has no end.", provider="alchemy")
        seen.add(key)
        if len(seen) >= max_pages:
            raise Malformed(
                f"alchemy has more than {max_pages} pages for one call; raise PROVIDER_MAX_PAGES.", provider="alchemy"
            )
        request["pageKey"] = key
