"""Token lists: which contracts somebody published under which names, and which list's word goes first."""

from __future__ import annotations

import hashlib
from typing import Final, NamedTuple


class ListedToken(NamedTuple):
    """A contract as one list names it.

    It has no decimals: lists contradict each other there, so they come from the contract or a provider.

    Attributes:
        chain_id: One of ``KNOWN_CHAINS``.
        token_address: Lower case; never a native coin, nor a second face of one.
        symbol, name, logo_url: For people; ``None`` if the list has none.
        coingecko_id: CoinGecko's id of the coin; only of lists that may say so.
    """

    chain_id: int
    token_address: str
    symbol: str | None = None
    name: str | None = None
    logo_url: str | None = None
    coingecko_id: str | None = None


class TokenList(NamedTuple):
    """A list as it was read.

    Attributes:
        name: Of the list, in the registry.
        version: As its publisher counts, or derived from its content.
        tokens: Each contract once, in order.
    """

    name: str
    version: str
    tokens: tuple[ListedToken, ...]


SHIPPED_LISTS: Final = ("moonx", "aave", "superchain")
"""The lists in the package, in the order in which they are trusted."""

COINGECKO_LIST: Final = "coingecko"
"""The listing of coins. It goes last: its symbols are in lower case, and its ids for the major assets' contracts on
other chains change as bridges do."""

_FIRST_CONFIGURED: Final = 100
_COINGECKO_TRUST: Final = 1_000_000


def trust_of(name: str, configured: tuple[str, ...] = ()) -> int:
    """The place of a list in the order of trust: shipped ones, the operator's as they are configured, CoinGecko.

    Args:
        name: Of the list.
        configured: Names of the operator's own lists, in order; must hold ``name`` where it is one of them.
    """
    if name in SHIPPED_LISTS:
        return SHIPPED_LISTS.index(name)
    return _COINGECKO_TRUST if name == COINGECKO_LIST else _FIRST_CONFIGURED + configured.index(name)


def fingerprint(tokens: tuple[ListedToken, ...]) -> str:
    """Stands for the content of a list; twelve hex digits."""
    return hashlib.sha256(repr(tokens).encode()).hexdigest()[:12]


def why_implausible(before: int, now: int) -> str | None:
    """Why an answer is not taken for the whole list; ``None`` if it may be.

    A publisher's broken build, or an answer that was cut, would otherwise take the names off good tokens.

    Args:
        before: Tokens that the list named when it was last read; 0 where it never was.
        now: Tokens that it names now.
    """
    if now == 0:
        return "It names no token of a known chain, which is not taken for the truth."
    if 2 * now < before:
        return f"It names {now} tokens after {before}: less than half is not taken for the truth."
    return None
