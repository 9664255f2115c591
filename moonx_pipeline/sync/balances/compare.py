"""Compares readings in bulk and in full: each full reading of a wallet that is read in bulk proves the other way right.

The two are made at different blocks. So where they differ, the contract is asked for its balance at the block of the
bulk reading and now; a difference that a movement between the two explains is none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from moonx_pipeline.domain.alerts import system_alert
from moonx_pipeline.domain.chains import CHAIN_BY_ID, is_native_mirror
from moonx_pipeline.domain.events import Event
from moonx_pipeline.domain.portfolio import ChainBalances
from moonx_pipeline.domain.providers import label_of
from moonx_pipeline.providers.errors import ProviderError
from moonx_pipeline.sync.balances.bulk import BulkReader

_SHOWN: Final = 3


class Difference(NamedTuple):
    """A balance that two ways of reading do not agree on.

    Attributes:
        bulk: The reading in bulk.
        full: The reading in full.
        token: The token.
        at_block: The contract's own balance at the block of the bulk reading.
    """

    bulk: ChainBalances
    full: ChainBalances
    token: str
    at_block: int

    def __str__(self) -> str:
        asked = self.bulk.balances.get(self.token)
        bulk = "did not ask for it" if asked is None else f"said {asked}"
        return (
            f"of {self.token} in wallet {self.bulk.wallet} the bulk reading of block {self.bulk.block} {bulk}, the "
            f"full one by {label_of(self.full.source or '')} said {self.full.balances.get(self.token, 0)}, and the "
            f"contract says {self.at_block} at that block"
        )


def differences(bulk: BulkReader, compared: Iterable[tuple[ChainBalances, ChainBalances]]) -> list[Difference]:
    """The differences that no movement explains; readings that can't be checked are skipped."""
    return [each for pair in compared for each in _between(bulk, *pair)]


def _between(bulk: BulkReader, known: ChainBalances, full: ChainBalances) -> Iterator[Difference]:
    left_out = known.unknown | known.without_balance | full.without_balance
    tokens = [
        token
        for token in known.balances.keys() | full.balances.keys()
        if known.balances.get(token, 0) != full.balances.get(token, 0)
        and token not in left_out
        and not is_native_mirror(known.chain_id, token)
    ]
    if not tokens:
        return
    try:
        then = bulk.again(known, tokens, block=known.block).balances
        now = bulk.again(known, tokens, block=None).balances
    except ProviderError:
        return
    for token in sorted(tokens):
        pair = (known.wallet, token)
        if pair in then and pair in now:
            low, high = sorted((then[pair], now[pair]))
            is_missed = token not in known.balances and then[pair] > 0
            if is_missed or not low <= full.balances.get(token, 0) <= high:
                yield Difference(known, full, token, then[pair])


def difference_alerts(found: Sequence[Difference], now: datetime) -> list[Event]:
    """One alert a chain and hour."""
    by_chain: dict[int, list[Difference]] = {}
    for each in found:
        by_chain.setdefault(each.bulk.chain_id, []).append(each)
    return [
        system_alert(
            "balances_differ",
            service=f"{some[0].bulk.source}:{chain_id}",
            occurrence=f"{now:%Y-%m-%dT%H}",
            message=f"Two ways of reading {CHAIN_BY_ID[chain_id].name} do not agree: "
            + "; ".join(map(str, some[:_SHOWN]))
            + (f"; and {len(some) - _SHOWN} more" if len(some) > _SHOWN else "")
            + ". The full reading is stored. If this goes on, take the bulk ways out of BALANCE_SOURCES.",
            severity="warning",
            at=now,
        )
        for chain_id, some in by_chain.items()
    ]
