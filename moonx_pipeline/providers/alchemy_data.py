"""Alchemy's token data API: the balances of several wallets on several networks in one call."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from moonx_pipeline.clock import utc_now
from moonx_pipeline.domain.chains import CHAIN_BY_ID, NATIVE_TOKEN, is_native_mirror
from moonx_pipeline.domain.holdings import Pair
from moonx_pipeline.domain.portfolio import ChainBalances, ChainOutcome, TokenInfo, TokenKey, Way
from moonx_pipeline.domain.quotes import Quote
from moonx_pipeline.providers.alchemy_networks import CHAIN_OF_NETWORK, COMPUTE_UNITS, NETWORKS
from moonx_pipeline.providers.alchemy_page import Page, TokenRow, blocks_of, decode_page, failed_networks
from moonx_pipeline.providers.alchemy_values import contract_of, parse_balance, read_metadata, read_quote
from moonx_pipeline.providers.bodies import Checked, clean_text
from moonx_pipeline.providers.errors import Oversized, Unavailable
from moonx_pipeline.providers.http import HttpClient
from moonx_pipeline.providers.node_answers import is_revert
from moonx_pipeline.providers.request import Request
from moonx_pipeline.providers.scope import CallScope

Group = Sequence[tuple[str, Sequence[int]]]
"""Wallets, each with the chain ids to read; they fit into one call."""

# Keyed by whether metadata is included.
MAX_ADDRESSES: Final = {True: 2, False: 3}
MAX_NETWORKS: Final = {True: 10, False: 20}
"""Over all addresses of a call."""
MAX_NETWORKS_AN_ADDRESS: Final = {True: 5, False: 20}
_GROUPS_LOOKED_AT: Final = 8
"""Groups with room to search: enough for a wallet on every chain, and few, as a sweep plans thousands of wallets."""

FEW_PAGES: Final = {True: 3, False: 10}
"""Pages, keyed by whether metadata is included, after which a list is long. JSON-RPC reads it for a tenth of the
compute units.
"""


@dataclass(slots=True)
class BalanceReading:
    """The result of one group of a data call.

    Attributes:
        balances: A reading for every wallet and chain that was asked.
        quotes: Prices that came along.
        outages: Why chains could not be read, if Alchemy itself reports it.
    """

    balances: dict[Pair, ChainBalances] = field(default_factory=dict)
    quotes: dict[TokenKey, Quote] = field(default_factory=dict)
    outages: dict[int, str] = field(default_factory=dict)


def plan_groups(pairs: Iterable[Pair], *, with_metadata: bool) -> list[list[tuple[str, list[int]]]]:
    """Packs wallets and chains into as few calls as the API allows; a call names a wallet once.

    A wallet with more chains than the API takes for an address is spread over several calls, and its remainders
    share calls with those of other wallets.
    """
    by_wallet: dict[str, list[int]] = {}
    for wallet, chain_id in pairs:
        by_wallet.setdefault(wallet, []).append(chain_id)
    most = MAX_NETWORKS_AN_ADDRESS[with_metadata]
    parts = [
        (wallet, ids[start : start + most]) for wallet, ids in by_wallet.items() for start in range(0, len(ids), most)
    ]
    groups: list[list[tuple[str, list[int]]]] = []
    with_room: deque[list[tuple[str, list[int]]]] = deque(maxlen=_GROUPS_LOOKED_AT)
    for part in parts:
        group = next((group for group in with_room if _fits(part, group, with_metadata=with_metadata)), None)
        if group is None:
            group = []
            groups.append(group)
            with_room.append(group)
        group.append(part)
    return groups


def _fits(part: tuple[str, list[int]], group: Group, *, with_metadata: bool) -> bool:
    wallet, chain_ids = part
    return (
        len(group) < MAX_ADDRESSES[with_metadata]
        and all(other != wallet for other, _ in group)
        and sum(len(ids) for _, ids in group) + len(chain_ids) <= MAX_NETWORKS[with_metadata]
    )


def balances_endpoint(*, with_metadata: bool) -> str:
    """The endpoint's name in the price list."""
    return "tokens/by-address" if with_metadata else "balances/by-address"


class _Collector:
    """Combines the pages of one group."""

    def __init__(self, group: Group, *, with_metadata: bool, now: datetime) -> None:
        self._with_metadata = with_metadata
        self._asked = {(wallet, chain_id) for wallet, chain_ids in group for chain_id in chain_ids}
        self._outages: dict[int, str] = {}
        self._quotes: dict[TokenKey, Quote] = {}
        self._blocks: dict[int, int] = {}
        self._balances: defaultdict[Pair, dict[str, int]] = defaultdict(dict)
        self._unknown: defaultdict[Pair, set[str]] = defaultdict(set)
        self._reverted: set[tuple[Pair, str]] = set()
        self._tokens: defaultdict[Pair, dict[str, TokenInfo]] = defaultdict(dict)
        self._now = now

    def take(self, page: Page[TokenRow]) -> None:
        for network, reason in failed_networks(page.error).items():
            # An unknown name may be a new name of any chain.
            chain_id = CHAIN_OF_NETWORK.get(network)
            for failed in {chain for _, chain in self._asked} if chain_id is None else {chain_id}:
                self._outages.setdefault(failed, clean_text(reason) or reason)
        for network, block in blocks_of(page.block_metadata).items():
            chain_id = CHAIN_OF_NETWORK.get(network, 0)
            self._blocks[chain_id] = min(block, self._blocks.get(chain_id, block))
        for row in page.data.tokens:
            chain_id = CHAIN_OF_NETWORK.get(row.network)
            pair = (row.address.lower(), chain_id or 0)
            if chain_id is None or pair not in self._asked:
                continue
            token = NATIVE_TOKEN if row.token_address is None else contract_of(row.token_address)
            if token is None or (row.token_address is not None and token == NATIVE_TOKEN):
                continue  # not even its token is known
            if not is_native_mirror(chain_id, token):
                self._take_row(row, pair, token)

    def _take_row(self, row: TokenRow, pair: Pair, token: str) -> None:
        balance = None if row.error else parse_balance(row.token_balance)
        if balance is None:
            # A valid answer for the same token on another page is better than none.
            if token not in self._balances[pair]:
                self._unknown[pair].add(token)
                if is_revert(row.error):
                    self._reverted.add((pair, token))
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
            self._quotes[TokenKey(pair[1], token)] = quote

    def reading(self, *, is_whole: bool) -> BalanceReading:
        """What was read. From a list that is not whole, only metadata and prices are usable."""
        readings = {pair: self._reading(*pair, is_whole=is_whole) for pair in self._asked}
        return BalanceReading(readings, self._quotes, self._outages)

    def _reading(self, wallet: str, chain_id: int, *, is_whole: bool) -> ChainBalances:
        pair, name = (wallet, chain_id), CHAIN_BY_ID[chain_id].name
        tokens = self._tokens.get(pair, {})
        reason = None
        if chain_id in self._outages:
            reason = f"Alchemy could not read {name}: {self._outages[chain_id]}."
        elif not is_whole:
            reason = f"The list of {name} is part of one that is too long to be read together."
        elif NATIVE_TOKEN not in self._balances[pair]:
            # The native coin has a row even if its balance is zero: without one, the chain was left out.
            reason = f"Alchemy answered without the native coin of {name}, so the chain is not known to be read."
        if reason is not None:
            failed = ChainOutcome.FAILED
            return ChainBalances(
                wallet, chain_id, failed, tokens=tokens, source="alchemy", reason=reason, error_code=Unavailable.kind
            )
        unknown = self._unknown.get(pair, set())
        reverted = {token for token in unknown if (pair, token) in self._reverted}
        return ChainBalances(
            wallet,
            chain_id,
            ChainOutcome.OK,
            balances={token: balance for token, balance in self._balances[pair].items() if balance},
            unknown=frozenset(unknown - reverted),
            without_balance=frozenset(reverted),
            tokens=tokens,
            source="alchemy",
            block=self._blocks.get(chain_id),
            way=Way.DATA_API,
            known_block=self._blocks.get(chain_id),
        )


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
    """Reads all pages of a group.

    Args:
        http: Alchemy's client.
        url: The API with its key.
        group: Wallets and chains that fit into one call.
        with_metadata: Whether to read names, decimals and prices, too.
        max_pages: No more pages are read than this, nor than ``FEW_PAGES``: a list is whole or it is not used.
        scope: Deadline and tally.
        slot: The slot reserved for the first page.

    Raises:
        ProviderError: A page could not be read, so no list is known to be whole. A network that fails by
            itself is a failed reading in the result, and so is each network of a list that is too long.
    """
    endpoint = balances_endpoint(with_metadata=with_metadata)
    path = "assets/tokens/by-address" if with_metadata else "assets/tokens/balances/by-address"
    request: dict[str, Any] = {
        "addresses": [
            {"address": wallet, "networks": [NETWORKS[chain_id] for chain_id in chain_ids]}
            for wallet, chain_ids in group
        ],
        "includeNativeTokens": True,
        "includeBlockMetadata": True,
    }
    if with_metadata:
        request |= {"withMetadata": True, "withPrices": True}
    collector = _Collector(group, with_metadata=with_metadata, now=utc_now())
    seen: set[str] = set()
    answer = Checked("alchemy", decode_page)
    while True:
        http.send(
            Request("POST", f"{url}/{path}", endpoint, compute_units=COMPUTE_UNITS[endpoint], json=request),
            answer,
            scope=scope,
            slot=slot,
        )
        slot = None
        page = answer.value
        collector.take(page)
        key = page.data.page_key
        if not key:
            return collector.reading(is_whole=True)
        if key in seen:
            raise Oversized("alchemy sent the same page key twice, so its list has no end.", provider="alchemy")
        seen.add(key)
        if len(seen) >= min(max_pages, FEW_PAGES[with_metadata]):
            return collector.reading(is_whole=False)
        request["pageKey"] = key
