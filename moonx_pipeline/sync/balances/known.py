"""Which wallets of a batch are known well enough to be read in bulk, and which are to be read in full besides."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from moonx_pipeline.domain.holdings import Pair
from moonx_pipeline.domain.portfolio import Coverage, TokenKey
from moonx_pipeline.providers.alchemy_networks import COMPUTE_UNITS
from moonx_pipeline.settings.providers import BULK_WAYS
from moonx_pipeline.storage.portfolios.known_tokens import KnownChain, known_chains
from moonx_pipeline.storage.tokens.vault_shares import read_vault_shares
from moonx_pipeline.sync.balances.bulk import CALLS_A_CHAIN, is_due_in_full
from moonx_pipeline.sync.balances.share_questions import DueShares, due_shares
from moonx_pipeline.sync.clients import Providers
from moonx_pipeline.sync.runtime import Runtime
from moonx_pipeline.sync.spec import OpenSync

SAMPLE: Final = 3
"""The wallets that are read in bulk and in full, and compared: as many as share one call of the data API."""

LIST_UNITS: Final = COMPUTE_UNITS["balances/by-address"]
"""Compute units of a call that lists the tokens of up to three wallets."""

CHAIN_UNITS: Final = sum(COMPUTE_UNITS[call] for call in CALLS_A_CHAIN)
"""Compute units of the bulk reading of a chain, if one call of each kind is enough."""

SAMPLED_USERS: Final = 600
"""There is such a sample of so many users at least, and of each sweep."""


class KnownPairs(NamedTuple):
    """What is known of the wallets and chains of a batch.

    Attributes:
        pairs: Those that may be read in bulk.
        in_full: Those of them that are read in full besides: it is time, or they are the sweep's sample.
        gaps: Those that only a node can read, where it is not known what the wallet received.
        shares: Contracts to be asked what their shares are redeemable for.
    """

    pairs: Mapping[Pair, KnownChain]
    in_full: frozenset[Pair]
    gaps: set[Pair]
    shares: DueShares


def known_pairs(runtime: Runtime, syncs: Sequence[OpenSync], now: datetime, *, with_sample: bool) -> KnownPairs | None:
    """What is known of a batch; ``None`` if no way reads in bulk.

    Args:
        runtime: The database, the providers and the rules.
        syncs: At least one; they opened together.
        now: The time.
        with_sample: Whether some wallets are to be read both ways even if none is due.
    """
    providers, policy = runtime.providers, runtime.policy
    if not set(BULK_WAYS).intersection(providers.sources):
        return None
    stored = runtime.db.read(syncs[0].budget.deadline, known_chains, [sync.user_id for sync in syncs])
    lists = {chain_id: _lists(providers, chain_id) for chain_id in policy.chain_ids}
    pairs: dict[Pair, KnownChain] = {}
    unknown: set[Pair] = set()
    for sync in syncs:
        for wallet in sync.wallets:
            for chain_id in policy.chain_ids:
                pair, known = (wallet, chain_id), stored.get((sync.user_id, wallet, chain_id))
                if chain_id in sync.unmoved_chains:
                    continue
                # A source that lists all tokens may know more of them than what listed them.
                if known is None or (lists[chain_id] and known.coverage is not Coverage.ALL_TOKENS):
                    unknown.add(pair)
                else:
                    pairs[pair] = _both(pairs.get(pair), known)
    for pair in unknown:  # users may share a wallet
        pairs.pop(pair, None)
    for pair in _cheaper_listed(pairs, providers):
        del pairs[pair]
    listed = {pair: known for pair, known in pairs.items() if lists[pair[1]]}
    due = {wallet for (wallet, _), one in listed.items() if is_due_in_full(wallet, one, policy.full_read_every, now)}
    if with_sample and not due:
        due = set(sorted({wallet for wallet, _ in listed})[:SAMPLE])
    tokens: dict[int, set[str]] = {chain_id: set() for chain_id in policy.chain_ids}
    for (_, chain_id), one in pairs.items():
        tokens[chain_id].update(one.tokens)
    held = {TokenKey(chain_id, token) for chain_id, mine in tokens.items() for token in mine}
    asked = runtime.db.read(syncs[0].budget.deadline, read_vault_shares, held) if held else {}
    return KnownPairs(
        pairs,
        frozenset(pair for pair in listed if pair[0] in due),
        {pair for pair in unknown if not lists[pair[1]]},
        due_shares(held, asked, now),
    )


def _cheaper_listed(pairs: Collection[Pair], providers: Providers) -> list[Pair]:
    """Those whose lists cost less than bulk readings by Alchemy, which cost the same for one or a thousand."""
    alchemy = providers.alchemy
    if alchemy is None or "alchemy-data" not in providers.sources:
        return []
    by_alchemy = [
        (wallet, chain_id)
        for wallet, chain_id in pairs
        if alchemy.serves(chain_id) and not ("node-bulk" in providers.sources and chain_id in providers.nodes)
    ]
    in_bulk = len({chain_id for _, chain_id in by_alchemy}) * CHAIN_UNITS
    if len({wallet for wallet, _ in by_alchemy}) * LIST_UNITS > in_bulk * SAMPLE:
        return []  # however they are packed
    lists = len(alchemy.plan_requests(by_alchemy, with_metadata=False)) * LIST_UNITS
    return by_alchemy if lists <= in_bulk else []


def _lists(providers: Providers, chain_id: int) -> bool:
    """Whether a source lists all tokens of a wallet on a chain."""
    return not {"alchemy-data", "alchemy-rpc"}.isdisjoint(providers.list_ways(chain_id))


def _both(one: KnownChain | None, other: KnownChain) -> KnownChain:
    """What two users of one wallet know of it together."""
    if one is None:
        return other
    return KnownChain(
        min(one.block, other.block),
        min(one.full_read_at, other.full_read_at),
        one.coverage if one.coverage is Coverage.KNOWN_TOKENS else other.coverage,
        tuple({*one.tokens, *other.tokens}),
    )
