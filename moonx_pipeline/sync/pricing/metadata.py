"""What tokens are called: asked once where the answer is whole; where it lacks something again, later each time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence, Set
from datetime import timedelta
from typing import Final

from moonx_pipeline.domain.chains import NATIVE_TOKEN
from moonx_pipeline.domain.market import Market
from moonx_pipeline.domain.portfolio import UNKNOWN_TOKEN, ChainBalances, TokenInfo, TokenKey
from moonx_pipeline.providers.errors import ProviderError
from moonx_pipeline.storage.tokens.token_store import FetchedMetadata, TokenStore, is_incomplete
from moonx_pipeline.sync.calls import ProviderCalls
from moonx_pipeline.sync.protection.breakers import chain_key, node_key

MAX_CONTRACTS_ASKED: Final = 50
"""Contracts that are asked themselves at most, where providers do not know them: three calls each."""

_FIRST_WAIT: Final = timedelta(seconds=5)
_LONGEST_WAIT: Final = timedelta(days=7)


def waits_for(tries: int) -> timedelta:
    """How long metadata that lacks something is not asked for again, after so many answers that lacked it."""
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
    """Metadata of tokens that are not known, or not whole.

    What came along with the balances costs nothing; for the rest the chain's own source is asked, tokens that have a
    market first. A source that fails leaves its tokens as they were.

    Args:
        keys: The tokens.
        book: What is stored of them.
        readings: What came along with the balances.
        market: Which of them have a market.
        calls: How the sources are asked.
        most: Tokens that are asked about at most; the following syncs ask about the others.
    """
    described = _came_along(keys, book, readings)
    missing = [key for key in keys if _is_wanted(key, book, market) and not _is_whole(described.get(key))]
    with_market = {key for key in missing if market.is_listed(key) or market.choice(key).quote is not None}
    missing.sort(key=lambda key: (key not in with_market, key in book.incomplete, key))
    by_chain: dict[int, list[TokenKey]] = {}
    for key in missing[:most]:
        by_chain.setdefault(key.chain_id, []).append(key)
    for chain_id, wanted in by_chain.items():
        answers = _ask(chain_id, wanted, with_market, calls)
        for key, (info, source) in answers.items():
            described[key] = _joined(key, info, source, book, described.get(key))
    return described


def lacks_metadata(keys: Set[TokenKey], book: TokenStore, readings: Iterable[ChainBalances], market: Market) -> bool:
    """Whether there is anything to describe: an unknown token, or metadata that came along and is news."""
    return any(_is_wanted(key, book, market) for key in keys) or bool(_came_along(keys, book, readings))


def _is_wanted(key: TokenKey, book: TokenStore, market: Market) -> bool:
    if key.address == NATIVE_TOKEN:
        return False
    incomplete = book.incomplete.get(key)
    if incomplete is not None:
        return market.now - incomplete.read_at > waits_for(incomplete.tries)
    return key not in book.tokens


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
    """What was said, over what is known: an answer that lacks something takes nothing away."""
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
_Way = tuple[str, Callable[[list[str]], dict[str, TokenInfo]], bool]
"""A provider, how it is asked about contracts, and whether that is so dear that it is only for tokens with a market."""


def _ask(
    chain_id: int,
    wanted: Sequence[TokenKey],
    with_market: Set[TokenKey],
    calls: ProviderCalls,
) -> _Answers:
    """Asks the ways of a chain, each for what the ones before did not know."""
    answers: _Answers = {}
    for source, ask, is_dear in _ways(chain_id, calls):
        left = [key for key in wanted if key not in answers or is_incomplete(answers[key][0])]
        if is_dear:
            left = [key for key in left if key in with_market][:MAX_CONTRACTS_ASKED]
        if not left:
            continue
        try:
            said = ask([key.address for key in left])
        except ProviderError:
            continue
        for address, info in said.items():
            key = TokenKey(chain_id, address)
            if key not in answers or not is_incomplete(info):
                answers[key] = (info, source)
    return answers


def _ways(chain_id: int, calls: ProviderCalls) -> list[_Way]:
    """Alchemy, then the operator's node; where there is none, the contracts themselves by Alchemy."""
    ways: list[_Way] = []
    alchemy, node = calls.providers.alchemy, calls.providers.nodes.get(chain_id)
    serves = alchemy is not None and alchemy.serves(chain_id)
    if alchemy is not None and serves:
        metadata, by_alchemy = alchemy.token_metadata, chain_key(chain_id)
        ways.append(("alchemy", lambda asked: calls.make(by_alchemy, metadata, chain_id, asked), False))
    if node is not None:
        token_info, by_node = node.token_info, node_key(chain_id)
        ways.append(("rpc", lambda asked: calls.make(by_node, token_info, asked), False))
    elif alchemy is not None and serves:
        contract_info, by_alchemy = alchemy.contract_info, chain_key(chain_id)
        ways.append(("alchemy", lambda asked: calls.make(by_alchemy, contract_info, chain_id, asked), True))
    return ways
