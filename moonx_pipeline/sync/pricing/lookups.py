"""What all look-ups of prices share: starts concurrent calls, notes outages, learns answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from itertools import groupby
from typing import TypeVar

from moonx_pipeline.domain.evidence import found
from moonx_pipeline.domain.market import Market
from moonx_pipeline.domain.portfolio import TokenKey
from moonx_pipeline.domain.quotes import PriceSource, Quote
from moonx_pipeline.providers.errors import ProviderError
from moonx_pipeline.sync.calls import ProviderCalls
from moonx_pipeline.sync.clients import Providers

_T = TypeVar("_T")


class Asking:
    """Makes calls to price sources and adds their answers to a market as evidence.

    Attributes:
        market: What is known.
        calls: Calls to the sources.
        outages: Why sources failed, one sentence each.
    """

    def __init__(self, market: Market, calls: ProviderCalls) -> None:
        """Prepares to ask; no call is made yet."""
        self.market = market
        self.calls = calls
        self.outages: list[str] = []

    @property
    def providers(self) -> Providers:
        return self.calls.providers

    def start(self, breaker: str, ask: Callable[..., _T], *what: object) -> Future[_T]:
        """Starts a concurrent call; see ``ProviderCalls.start``."""
        return self.calls.start(breaker, ask, *what)

    @contextmanager
    def noting_outage(self) -> Iterator[None]:
        """Notes a source's failure as an outage; its tokens stay as they were, and the sync continues."""
        try:
            yield
        except ProviderError as error:
            if str(error) not in self.outages:
                self.outages.append(str(error))

    def learn(self, source: PriceSource, keys: Iterable[TokenKey], quotes: Mapping[TokenKey, Quote | None]) -> None:
        """Takes in an answer; a source without a price for a token counts as having answered."""
        for key in keys:
            self.market.learn(key, found(source, self.market.now, quotes.get(key)))


def in_parts(items: Sequence[_T], size: int) -> list[Sequence[_T]]:
    """Items in parts of at most ``size``."""
    return [items[start : start + size] for start in range(0, len(items), size)]


def addresses_of(keys: Iterable[TokenKey]) -> list[str]:
    """The contracts of the keys."""
    return [key.address for key in keys]


def by_chain(keys: Iterable[TokenKey], size: int) -> list[list[TokenKey]]:
    """The keys in groups of one chain each, at most ``size`` long."""
    chains = [list(group) for _, group in groupby(sorted(keys), key=lambda key: key.chain_id)]
    return [group[start : start + size] for group in chains for start in range(0, len(group), size)]
