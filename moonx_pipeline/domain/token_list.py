"""Token lists: published contracts with their names, and the order in which lists are trusted."""

from __future__ import annotations

import hashlib
from typing import Final, NamedTuple


class ListedToken(NamedTuple):
    """A contract as one list names it.

    It has no decimals: lists contradict each other there, so they come from the contract or a provider.

    Attributes:
        chain_id: One of ``KNOWN_CHAINS``.
        token_address: Lower case; never a native coin or its mirror.
        symbol, name, logo_url: Shown to users; ``None`` if the list has none.
        coingecko_id: CoinGecko's id of the coin; only from lists that may give it.
    """

    chain_id: int
    token_address: str
    symbol: str | None = None
    name: str | None = None
    logo_url: str | None = None
    coingecko_id: str | None = None


class TokenList(NamedTuple):
    """A token list as read.

    Attributes:
        name: Its name in the registry.
        version: Its publisher's version, or one derived from its content.
        tokens: Each contract once, in order.
    """

    name: str
    version: str
    tokens: tuple[ListedToken, ...]


SHIPPED_LISTS: Final = ("moonx", "aave", "superchain")
"""The lists in the package, the most trusted first."""

COINGECKO_LIST: Final = "coingecko"
"""CoinGecko's listing of coins. It goes last: its symbols are in lower case, and its ids for the major assets'
contracts on other chains change as bridges do."""

_FIRST_CONFIGURED: Final = 100
_COINGECKO_TRUST: Final = 1_000_000


def trust_of(name: str, configured: tuple[str, ...] = ()) -> int:
    """A list's place in the order of trust: shipped lists, the operator's as configured, CoinGecko.

    Args:
        name: The list's name.
        configured: Names of the operator's own lists, in order; must hold ``name`` if it is one of them.
    """
    if name in SHIPPED_LISTS:
        return SHIPPED_LISTS.index(name)
    return _COINGECKO_TRUST if name == COINGECKO_LIST else _FIRST_CONFIGURED + configured.index(name)


def fingerprint(tokens: tuple[ListedToken, ...]) -> str:
    """A digest of a list's content; twelve hex digits."""
    return hashlib.sha256(repr(tokens).encode()).hexdigest()[:12]


def why_implausible(before: int, now: int) -> str | None:
    """Why an answer is implausible as the whole list; ``None`` if it is plausible.

    A publisher's broken build, or a truncated answer, would otherwise remove the names of good tokens.

    Args:
        before: The number of tokens in the list when last read; 0 if it never was.
        now: The number of tokens in it now.
    """
    if now == 0:
        return "It names no token of a known chain, which is not taken for the truth."
    if 2 * now < before:
        return f"It names {now} tokens after {before}: less than half is not taken for the truth."
    return None
