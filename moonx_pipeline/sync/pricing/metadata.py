"""Metadata of tokens: asked for again at growing intervals until the answer is complete, and then once a month if the
token has a market: tokens are renamed, and a proxy's next code may count in other decimals.

Decimals that an answer gives otherwise than they are known are settled by the contract: ten thousand tokens would
become a trillion by one wrong answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from datetime import timedelta
from typing import Final, NamedTuple

from moonx_pipeline.domain.chains import NATIVE_TOKEN
from moonx_pipeline.domain.market import Market
from moonx_pipeline.domain.portfolio import UNKNOWN_TOKEN, ChainBalances, TokenInfo, TokenKey
from moonx_pipeline.domain.providers import ALCHEMY, NODE
from moonx_pipeline.providers.errors import ProviderError
from moonx_pipeline.storage.tokens.token_store import FetchedMetadata, TokenStore, is_incomplete
from moonx_pipeline.sync.calls import ProviderCalls

MAX_CONTRACTS_ASKED: Final = 50
"""The most contracts to ask directly if providers do not know them: three calls each."""

_FIRST_WAIT: Final = timedelta(seconds=5)
_LONGEST_WAIT: Final = timedelta(days=7)


def waits_for(tries: int) -> timedelta:
    """How long to wait before asking again, after so many incomplete answers."""
    growth: int = 4 ** min(max(tries, 1) - 1, 10)
    return min(_LONGEST_WAIT, _FIRST_WAIT * growth)


def fetch_metadata(
    keys: Set[TokenKey],
    book: TokenStore,
    readings: Iterable[ChainBalances],
    market: Market,
    calls: ProviderCalls,
    *,
    most: int,
) -> dict[TokenKey, FetchedMetadata]:
    """Fetches metadata that is unknown, incomplete or a month old.

    Metadata that came with the balances costs nothing; for the rest the chain's own source is asked, tokens with a
    market first. A source that fails leaves its tokens unchanged.

    Args:
        keys: The tokens.
        book: What is stored about them.
        readings: Readings with the metadata that came with the balances.
        market: Tells which tokens have a market.
        calls: Calls to the sources.
        most: The most tokens to ask about; the next syncs ask about the others.
    """
    described = _came_along(keys, book, readings)
    missing = [key for key in keys if _is_wanted(key, book, market) and not _is_whole(described.get(key))]
    with_market = {key for key in missing if _has_market(key, market)}
    missing.sort(key=lambda key: (key not in with_market, key in book.tokens, key))
    by_chain: dict[int, list[TokenKey]] = {}
    for key in missing[:most]:
        by_chain.setdefault(key.chain_id, []).append(key)
    for chain_id, wanted in by_chain.items():
        answers = _ask(chain_id, wanted, with_market, calls)
        for key, (info, source) in answers.items():
            described[key] = _joined(key, info, source, book, described.get(key))
    disputed = [key for key, what in described.items() if _contradicts(what.info, book.tokens.get(key))]
    return described | _settled(disputed, described, book, calls)


def _contradicts(info: TokenInfo, known: TokenInfo | None) -> bool:
    """Whether the decimals differ from those known: one of both answers is wrong by powers of ten."""
    return known is not None and known.decimals is not None and info.decimals != known.decimals


def _settled(
    disputed: Sequence[TokenKey], described: Mapping[TokenKey, FetchedMetadata], book: TokenStore, calls: ProviderCalls
) -> dict[TokenKey, FetchedMetadata]:
    """Tokens whose decimals are disputed, with those of their contracts; the known ones stay if these do not answer."""
    decimals = {key: book.tokens[key].decimals for key in disputed}
    for chain_id in sorted({key.chain_id for key in disputed}):
        mine = [key.address for key in disputed[:MAX_CONTRACTS_ASKED] if key.chain_id == chain_id]
        for way in _ways(chain_id, calls):
            if mine and way.asks_contracts:
                said = _said(way, mine)
                decimals |= {
                    TokenKey(chain_id, address): info.decimals
                    for address, info in said.items()
                    if info.decimals is not None
                }
    return {key: described[key]._replace(info=described[key].info._replace(decimals=decimals[key])) for key in disputed}


def lacks_metadata(keys: Set[TokenKey], book: TokenStore, readings: Iterable[ChainBalances], market: Market) -> bool:
    """Whether there is metadata to fetch or store: of unknown or aged tokens, or what came along and is new."""
    return any(_is_wanted(key, book, market) for key in keys) or bool(_came_along(keys, book, readings))


def _is_wanted(key: TokenKey, book: TokenStore, market: Market) -> bool:
    if key.address == NATIVE_TOKEN:
        return False
    incomplete = book.incomplete.get(key)
    if incomplete is not None:
        return market.now - incomplete.read_at > waits_for(incomplete.tries)
    return key not in book.tokens or (key in book.aged and _has_market(key, market))


def _has_market(key: TokenKey, market: Market) -> bool:
    return market.is_listed(key) or market.choice(key).quote is not None


def _is_whole(described: FetchedMetadata | None) -> bool:
    return described is not None and not is_incomplete(described.info)


def _came_along(
    keys: Set[TokenKey], book: TokenStore, readings: Iterable[ChainBalances]
) -> dict[TokenKey, FetchedMetadata]:
    news: dict[TokenKey, FetchedMetadata] = {}
    for reading in readings:
        for address, info in reading.tokens.items():
            key = TokenKey(reading.chain_id, address)
            known = book.tokens.get(key)
            if key not in keys or known == info:
                continue
            described = _joined(key, info, reading.source or "", book, None)
            if described.info != known:
                news[key] = described
    return news


def _joined(
    key: TokenKey, info: TokenInfo, source: str, book: TokenStore, before: FetchedMetadata | None
) -> FetchedMetadata:
    """Merges an answer over what is known; an incomplete answer removes nothing."""
    known = before.info if before else book.tokens.get(key, UNKNOWN_TOKEN)
    joined = TokenInfo(
        info.symbol or known.symbol,
        info.name or known.name,
        known.decimals if info.decimals is None else info.decimals,
        info.logo_url or known.logo_url,
    )
    tries = book.incomplete[key].tries if key in book.incomplete else 0
    return FetchedMetadata(joined, source, tries + 1 if is_incomplete(joined) else 0)


_Answers = dict[TokenKey, tuple[TokenInfo, str]]


class _Way(NamedTuple):
    """A way to metadata.

    Attributes:
        source: The provider.
        ask: The call that asks it about contracts.
        asks_contracts: Whether the contracts themselves answer, not the provider.
        is_dear: Whether it costs so much that only tokens with a market are asked about.
    """

    source: str
    ask: Callable[[list[str]], dict[str, TokenInfo]]
    asks_contracts: bool = False
    is_dear: bool = False


def _said(way: _Way, contracts: Sequence[str]) -> dict[str, TokenInfo]:
    """What a source says about contracts; nothing if it fails."""
    try:
        return way.ask(list(contracts))
    except ProviderError:
        return {}


def _ask(
    chain_id: int,
    wanted: Sequence[TokenKey],
    with_market: Set[TokenKey],
    calls: ProviderCalls,
) -> _Answers:
    """Asks each source of a chain for what the ones before did not know."""
    answers: _Answers = {}
    for way in _ways(chain_id, calls):
        left = [key for key in wanted if key not in answers or is_incomplete(answers[key][0])]
        if way.is_dear:
            left = [key for key in left if key in with_market][:MAX_CONTRACTS_ASKED]
        for address, info in (_said(way, [key.address for key in left]) if left else {}).items():
            key = TokenKey(chain_id, address)
            if key not in answers or not is_incomplete(info):
                answers[key] = (info, way.source)
    return answers


def _ways(chain_id: int, calls: ProviderCalls) -> list[_Way]:
    """The sources of a chain: Alchemy, then the operator's node or, without one, the contracts through Alchemy."""
    ways: list[_Way] = []
    alchemy, node = calls.providers.alchemy, calls.providers.nodes.get(chain_id)
    serves = alchemy is not None and alchemy.serves(chain_id)
    if alchemy is not None and serves:
        metadata, by_alchemy = alchemy.token_metadata, ALCHEMY.breaker_of(chain_id)
        ways.append(_Way("alchemy", lambda asked: calls.make(by_alchemy, metadata, chain_id, asked)))
    if node is not None:
        token_info, by_node = node.token_info, NODE.breaker_of(chain_id)
        ways.append(_Way(NODE.id, lambda asked: calls.make(by_node, token_info, asked), asks_contracts=True))
    elif alchemy is not None and serves:
        contract_info, by_alchemy = alchemy.contract_info, ALCHEMY.breaker_of(chain_id)
        ways.append(
            _Way(
                "alchemy",
                lambda asked: calls.make(by_alchemy, contract_info, chain_id, asked),
                asks_contracts=True,
                is_dear=True,
            )
        )
    return ways
