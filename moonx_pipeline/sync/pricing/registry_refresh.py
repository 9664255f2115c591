"""Reads the token lists that are not in the package: the operator's own, and CoinGecko's listing of coins."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final, NamedTuple

from sqlalchemy import Connection

from moonx_pipeline.domain.providers import COINGECKO
from moonx_pipeline.domain.token_list import COINGECKO_LIST, TokenList, trust_of, why_implausible
from moonx_pipeline.providers.coingecko import key_header
from moonx_pipeline.providers.coingecko_listing import CoinGeckoListing
from moonx_pipeline.providers.errors import ProviderError
from moonx_pipeline.providers.http import HttpClient
from moonx_pipeline.providers.scope import CallScope
from moonx_pipeline.providers.token_lists import TokenLists, list_name
from moonx_pipeline.settings import Settings
from moonx_pipeline.storage.connection.retries import Database
from moonx_pipeline.storage.tokens.registry import ListChange, forget_lists, list_states, note_failure, replace_list
from moonx_pipeline.sync.protection.breakers import BreakerRules, load_breakers, report_breakers
from moonx_pipeline.sync.protection.rate_limiter import ProviderRateLimiter

_CALL_SECONDS: Final = 60.0
"""Seconds. A list has megabytes, and nobody waits for it."""

_PATIENCE_SECONDS: Final = 65.0
"""Seconds: slightly longer than the window of CoinGecko's rate limit."""

_LIST_SECONDS: Final = 240.0

_Read = Callable[[CallScope], TokenList]


class RefreshedList(NamedTuple):
    """How the reading of one list ended.

    Attributes:
        name: The list's name.
        tokens: How many contracts it names in the registry now, even if it could not be read.
        change: What the reading changed; nothing if it failed.
        seconds: Wall time.
        error: Why it could not be read; its earlier content then stays.
    """

    name: str
    tokens: int
    change: ListChange
    seconds: float
    error: str | None = None


class RegistryRefresh(NamedTuple):
    """How a refresh ended.

    Attributes:
        lists: Each list that was asked for.
        forgotten: Names of lists that are no longer configured.
    """

    lists: tuple[RefreshedList, ...]
    forgotten: tuple[str, ...]


def refresh_registry(db: Database, settings: Settings, rules: BreakerRules) -> RegistryRefresh:
    """Reads all lists again, each in its own transaction: one that fails stops no other.

    Args:
        db: The pipeline's database.
        settings: The lists, and CoinGecko's address.
        rules: Rules of CoinGecko's circuit breaker, shared with its prices.
    """
    configured = tuple(list_name(url) for url in settings.registry.token_lists)
    refreshed = []
    for name, read in _readers(db, settings, rules):
        refreshed.append(_refresh(db, name, read, trust=trust_of(name, configured)))
    forgotten = db.transaction(_deadline(), forget_lists, configured)
    return RegistryRefresh(tuple(refreshed), tuple(forgotten))


def _readers(db: Database, settings: Settings, rules: BreakerRules) -> Iterator[tuple[str, _Read]]:
    """The lists by name, each with the function that reads it."""
    alchemy, prices = settings.alchemy, settings.prices

    client = partial(
        HttpClient,
        timeout_s=_CALL_SECONDS,
        retries=alchemy.retries,
        retry_delay_s=alchemy.retry_delay_ms / 1000,
        max_body_bytes=settings.http.max_body_bytes,
        patience_s=_PATIENCE_SECONDS,
        pool_size=1,
    )
    lists = TokenLists(http=client("token_lists"))
    for url in settings.registry.token_lists:
        yield list_name(url), partial(lists.read, url)

    key = prices.coingecko_key.get_secret_value() if prices.coingecko_key else None
    rate_limiter = ProviderRateLimiter(db, COINGECKO.id, COINGECKO.id, prices.coingecko_rpm, None, _PATIENCE_SECONDS)
    listing = CoinGeckoListing(
        prices.coingecko_base_url,
        http=client(
            COINGECKO.id,
            rate_limiter=rate_limiter,
            headers=key_header(prices.coingecko_base_url, key),
            secrets=[key or ""],
        ),
    )

    def read_listing(scope: CallScope) -> TokenList:
        breakers = load_breakers(db, rules, [COINGECKO.id])
        try:
            return breakers.call(COINGECKO.id, listing.read, scope)
        finally:
            report_breakers(db, breakers)

    yield COINGECKO_LIST, read_listing


def _refresh(db: Database, name: str, read: _Read, *, trust: int) -> RefreshedList:
    started = time.monotonic()
    try:
        taken, error = read(CallScope.lasting(_LIST_SECONDS)), None
    except ProviderError as problem:
        taken, error = None, str(problem)

    def store(connection: Connection) -> RefreshedList:
        before = next((state.tokens for state in list_states(connection) if state.name == name), 0)
        why = error or why_implausible(before, len(taken.tokens) if taken else 0)
        if taken is None or why is not None:
            note_failure(connection, name, why or "", trust=trust)
            return RefreshedList(name, before, ListChange(0, 0, 0), time.monotonic() - started, why)
        change = replace_list(connection, taken, trust=trust)
        return RefreshedList(name, len(taken.tokens), change, time.monotonic() - started)

    return db.transaction(_deadline(), store)


def _deadline() -> float:
    return time.monotonic() + _LIST_SECONDS
