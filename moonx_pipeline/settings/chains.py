"""Per-chain settings, such as ``RPC_URL_POLYGON``, and the setting that lists chains."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Annotated, Any, Final, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, InstanceOf
from pydantic.fields import FieldInfo

from moonx_pipeline.domain.chains import CHAIN_BY_SLUG, KNOWN_CHAINS, Chain

_T = TypeVar("_T")


class _BySlug(dict[str, _T]):
    """An immutable, hashable mapping by slug, so that settings can be cache keys."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items()))


OfEachChain = Annotated[Mapping[str, _T], AfterValidator(_BySlug)]
"""The type of a ``chain_setting``: its values by the slugs of the chains for which it is set."""

_KNOWN_SLUGS: Final = ", ".join(CHAIN_BY_SLUG)


def chain_setting(template: str, *, about: str) -> Any:
    """Declares a per-chain setting: a mapping by the slugs of the chains for which it is set.

    Args:
        template: The environment variable, with ``{CHAIN}`` for the chain's slug in upper case.
        about: Its description, with ``{chain}`` for the chain's name.
    """
    return Field(default_factory=_BySlug, validation_alias=template, description=about)


def of_each_chain(field: FieldInfo) -> bool:
    """Whether a field is a ``chain_setting``."""
    return "{CHAIN}" in str(field.validation_alias)


def variable_of(template: str, chain: Chain) -> str:
    """The environment variable of one chain."""
    return template.format(CHAIN=chain.slug.upper())


def gather(fields: Iterable[FieldInfo], given: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The variables of per-chain settings, by the setting's template and the chain's slug.

    Args:
        fields: The fields of a group.
        given: All variables.
    """
    templates = [str(field.validation_alias) for field in fields if of_each_chain(field)]
    return {
        template: {chain.slug: given[name] for chain in KNOWN_CHAINS if (name := variable_of(template, chain)) in given}
        for template in templates
    }


def _chains(value: Any) -> Any:
    """Parses ``slug,slug`` into chains in the order of display."""
    if not isinstance(value, str):
        return value
    slugs = [part.strip().lower() for part in value.split(",") if part.strip()]
    if not slugs:
        raise ValueError(f"names no chain: give one or more of {_KNOWN_SLUGS}")
    for slug in slugs:
        if slug not in CHAIN_BY_SLUG:
            raise ValueError(f"names '{slug}', which is no known chain{_suggestion(slug)}. Known are {_KNOWN_SLUGS}")
        if slugs.count(slug) > 1:
            raise ValueError(f"names {slug} twice")
    return tuple(chain for chain in KNOWN_CHAINS if chain.slug in slugs)


def _suggestion(name: str) -> str:
    """The chain with a similar name, or the one that a provider calls so."""
    slugs = {word: chain.slug for chain in reversed(KNOWN_CHAINS) for word in _names_of(chain)}
    near = get_close_matches(name, slugs, n=1)
    return f" (did you mean {slugs[near[0]]}?)" if near else ""


def _names_of(chain: Chain) -> Iterator[str]:
    yield from (chain.slug, chain.name.lower(), str(chain.id), chain.coingecko_platform)
    yield from (chain.dexscreener_slug, chain.defillama_name, chain.native.symbol.lower())
    for network in (chain.alchemy_network, *chain.alchemy_other_networks):
        yield from (network, network.removesuffix("-mainnet"))


Chains = Annotated[tuple[InstanceOf[Chain], ...], BeforeValidator(_chains)]
