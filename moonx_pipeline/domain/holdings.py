"""What a user holds after a reading: fresh balances if the chain answered, else the last known ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from moonx_pipeline.domain.chains import MIRRORS
from moonx_pipeline.domain.flags import BALANCE_UNKNOWN
from moonx_pipeline.domain.portfolio import ChainBalances, ChainOutcome, Coverage

Pair = tuple[str, int]
"""A wallet and a chain."""


class Holding(NamedTuple):
    """A raw balance above zero of one token in one wallet; ``stale`` if its chain did not answer."""

    wallet: str
    chain_id: int
    token: str
    balance: int
    flags: tuple[str, ...] = ()
    stale: bool = False


_new: Final = tuple.__new__  # a named tuple's own constructor takes twice the time, and a sweep makes millions

StoredBalances = Mapping[Pair, Mapping[str, int]]
"""Balances as stored, by wallet and chain, then by token."""


def is_whole(reading: ChainBalances) -> bool:
    """Whether all that is held was read. A contract that returns no balance leaves nothing to read."""
    return (
        reading.outcome is ChainOutcome.OK
        and not reading.unknown
        and reading.coverage is Coverage.ALL_TOKENS
        and not reading.is_resumed
    )


def needs_stored(reading: ChainBalances) -> bool:
    """Whether what is held after this reading depends on what was held before."""
    return not is_whole(reading) or bool(reading.without_balance)


def holdings_after(readings: Iterable[ChainBalances], stored: StoredBalances) -> list[Holding]:
    """What is held now.

    A chain that answered replaces what was stored: tokens no longer listed are gone. A token whose balance could not
    be read keeps its last known one, flagged. A chain that did not answer keeps all of its last known balances, marked
    stale; one not asked because nothing moved keeps them unchanged.

    A list that is read over several syncs replaces the tokens it reaches: those not reached yet stay, marked stale, and
    those that an earlier sync reached stay unchanged. Only a row of 0 removes a token.

    Mirrors of a native coin show the same money again and are never held.

    Args:
        readings: One for each wallet and chain.
        stored: Balances stored before; only used for the wallets and chains that need them.
    """
    return [
        holding
        for reading in readings
        for holding in _held(reading, stored.get((reading.wallet, reading.chain_id), {}))
    ]


def _held(reading: ChainBalances, before: Mapping[str, int]) -> Iterable[Holding]:
    wallet, chain_id = reading.wallet, reading.chain_id
    mirrors = MIRRORS[chain_id]
    if not reading.is_read:
        stale = not reading.is_current
        return [
            Holding(wallet, chain_id, token, balance, stale=stale)
            for token, balance in before.items()
            if balance > 0 and token not in mirrors
        ]
    held = [
        _new(Holding, (wallet, chain_id, token, balance, (), False))
        for token, balance in reading.balances.items()
        if balance > 0 and token not in mirrors
    ]
    if needs_stored(reading):
        kept = (
            _kept(reading, token, balance)
            for token, balance in before.items()
            if token not in reading.balances and balance > 0 and token not in mirrors
        )
        held += [holding for holding in kept if holding is not None]
    return held


def _kept(reading: ChainBalances, token: str, balance: int) -> Holding | None:
    """The holding of a stored token without a balance in the answer; ``None`` if it is gone."""
    last = Holding(reading.wallet, reading.chain_id, token, balance)
    is_unread = token in reading.unknown or token in reading.without_balance
    if is_unread or reading.coverage is Coverage.KNOWN_TOKENS:
        return last._replace(flags=(BALANCE_UNKNOWN,))
    if reading.outcome is ChainOutcome.PARTIAL:
        return last._replace(stale=True)
    return last if reading.is_resumed else None


def unread_after(
    readings: Iterable[ChainBalances], stored: StoredBalances, before: Mapping[Pair, int]
) -> dict[Pair, int]:
    """The number of tokens by wallet and chain whose balance nobody could read and that have none from before.

    Args:
        readings: One for each wallet and chain.
        stored: Balances stored before.
        before: The same numbers stored before: a chain that was not read now keeps its own.
    """
    counts = {}
    for reading in readings:
        pair = (reading.wallet, reading.chain_id)
        if not reading.is_read:
            counts[pair] = before.get(pair, 0)
        elif reading.unknown:
            counts[pair] = len(reading.unknown.difference(reading.balances, stored.get(pair, {})))
        else:  # as almost always
            counts[pair] = 0
    return counts
