"""What tokens are called: asked once, then known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set

from moonx_pipeline.domain.chains import CHAINS
from moonx_pipeline.domain.curated import CURATED
from moonx_pipeline.domain.portfolio import ChainBalances, TokenInfo, TokenKey
from moonx_pipeline.providers.errors import ProviderError
from moonx_pipeline.providers.scope import CallScope
from moonx_pipeline.sync.breaking import Breakers, chain_key, node_key
from moonx_pipeline.sync.sources import Sources

MAX_DESCRIBED = 500
"""New tokens that one sync asks about at most; the others are described by the next ones."""


def describe_tokens(
    keys: Set[TokenKey],
    known: Mapping[TokenKey, TokenInfo],
    readings: Iterable[ChainBalances],
    sources: Sources,
    breakers: Breakers,
    scope: CallScope,
    *,
    syncs: int = 1,
) -> dict[TokenKey, tuple[TokenInfo, str]]:
    """Metadata, with its source, of the tokens that were not known before.

    What came along with the balances costs nothing; for the rest the chain's own source is asked. A source
    that fails leaves its tokens undescribed, to be asked about again. ``syncs`` is of how many users they are.
    """
    described = _came_along(keys, known, readings)
    missing = sorted(key for key in keys if key not in known and key not in described and key not in CURATED)
    for chain in CHAINS:
        wanted = [key.address for key in missing[: MAX_DESCRIBED * syncs] if key.chain_id == chain.id]
        if wanted:
            described |= _ask(chain.id, wanted, sources, breakers, scope)
    return described


def undescribed(keys: Set[TokenKey], known: Mapping[TokenKey, TokenInfo], readings: Iterable[ChainBalances]) -> bool:
    """Whether there is anything to describe: an unknown token, or metadata that came along and is news."""
    return any(key not in known and key not in CURATED for key in keys) or bool(_came_along(keys, known, readings))


def _came_along(
    keys: Set[TokenKey], known: Mapping[TokenKey, TokenInfo], readings: Iterable[ChainBalances]
) -> dict[TokenKey, tuple[TokenInfo, str]]:
    return {
        key: (info, reading.source or "")
        for reading in readings
        for address, info in reading.tokens.items()
        if (key := TokenKey(reading.chain_id, address)) in keys and key not in CURATED and known.get(key) != info
    }


def _ask(
    chain_id: int, wanted: list[str], sources: Sources, breakers: Breakers, scope: CallScope
) -> dict[TokenKey, tuple[TokenInfo, str]]:
    node = sources.nodes.get(chain_id)
    if sources.alchemy is not None and sources.alchemy.serves(chain_id):
        try:
            found = breakers.call(chain_key(chain_id), sources.alchemy.token_metadata, chain_id, wanted, scope)
            return {TokenKey(chain_id, address): (info, "alchemy") for address, info in found.items()}
        except ProviderError:
            if node is None:
                return {}
    if node is not None:
        try:
            found = breakers.call(node_key(chain_id), node.token_info, wanted, scope)
            return {TokenKey(chain_id, address): (info, "rpc") for address, info in found.items()}
        except ProviderError:
            return {}
    return {}
