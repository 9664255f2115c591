"""What a user holds after a reading: fresh where the chain answered, last known where it did not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from moonx_pipeline.domain.chains import CHAIN_BY_ID
from moonx_pipeline.domain.portfolio import ChainBalances, ChainOutcome, Coverage

BALANCE_UNKNOWN = "balance_unknown"
"""The chain answered, but not for this token: its last known balance is shown."""


class Holding(NamedTuple):
    """A raw balance above zero of one token in one wallet; ``stale`` where its chain did not answer."""

    wallet: str
    chain_id: int
    token: str
    balance: int
    flags: tuple[str, ...] = ()
    stale: bool = False


StoredBalances = Mapping[tuple[str, int], Mapping[str, int]]
"""Balances as stored, by wallet and chain, then by token."""


def needs_stored(reading: ChainBalances) -> bool:
    """Whether what is held after this reading depends on what was held before."""
    return reading.outcome is not ChainOutcome.OK or bool(reading.unknown) or reading.coverage is Coverage.KNOWN_TOKENS


def holdings_after(readings: Iterable[ChainBalances], stored: StoredBalances) -> list[Holding]:
    """What is held now.

    A chain that answered replaces what was stored: tokens that it no longer has are gone. A token that it
    has but could not read keeps its last known balance, flagged. A chain that did not answer keeps all of
    its last known balances, marked stale; one that was not asked since nothing moved keeps them as they are.

    Args:
        readings: One for each wallet and chain.
        stored: Balances as stored before; only read for the wallets and chains that need them.
    """
    held: list[Holding] = []
    for reading in readings:
        wallet, chain_id = reading.wallet, reading.chain_id
        if reading.outcome is not ChainOutcome.OK:
            before = stored.get((wallet, chain_id), {})
            stale = not reading.is_current
            held += [Holding(wallet, chain_id, token, balance, stale=stale) for token, balance in before.items()]
            continue
        mirror = CHAIN_BY_ID[chain_id].native_as_erc20
        held += [
            Holding(wallet, chain_id, token, balance)
            for token, balance in reading.balances.items()
            if balance > 0 and token != mirror
        ]
        if needs_stored(reading):
            held += _unread(reading, stored.get((wallet, chain_id), {}))
    return held


def _unread(reading: ChainBalances, before: Mapping[str, int]) -> list[Holding]:
    """Stored tokens of a chain that answered, which the answer says nothing about."""
    return [
        Holding(reading.wallet, reading.chain_id, token, balance, (BALANCE_UNKNOWN,))
        for token, balance in before.items()
        if token not in reading.balances and (token in reading.unknown or reading.coverage is Coverage.KNOWN_TOKENS)
    ]
