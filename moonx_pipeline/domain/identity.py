"""Identifies a contract's asset: native coins by chain, other tokens by the token registry, never by symbol."""

from __future__ import annotations

from typing import NamedTuple

from moonx_pipeline.domain.chains import CHAIN_BY_ID, NATIVE_TOKEN
from moonx_pipeline.domain.majors import MAJORS, Major
from moonx_pipeline.domain.portfolio import TokenInfo, TokenKey

_NO_MAJOR = Major()


class Listing(NamedTuple):
    """What the token registry says about a contract.

    Attributes:
        symbol, name, logo_url: Those of the most trusted list.
        coingecko_id: The id of its coin, if the listing of coins names the contract.
        lists: The lists that name it; at least one.
    """

    symbol: str | None
    name: str | None
    logo_url: str | None
    coingecko_id: str | None
    lists: tuple[str, ...]


class Identity(NamedTuple):
    """The asset of a contract.

    Attributes:
        listing: What lists say; ``None`` if none names it.
        is_native: Whether it is the chain's own coin.
        coingecko_id: The id under which CoinGecko prices it.
        is_major: Whether it is one of the few assets whose price needs no pool.
        binance_symbol: Its pair on Binance, such as ``ETHUSDT``.
        coin: The symbol of the native coin that it equals in value.
        is_dollar: Whether it is a US dollar stablecoin.
    """

    listing: Listing | None = None
    is_native: bool = False
    coingecko_id: str | None = None
    is_major: bool = False
    binance_symbol: str | None = None
    coin: str | None = None
    is_dollar: bool = False

    @property
    def is_listed(self) -> bool:
        """Whether its asset is certain."""
        return self.is_native or self.is_major or self.listing is not None

    def described(self, info: TokenInfo, chain_id: int) -> TokenInfo:
        """A token's metadata with the names from lists; decimals are the contract's own.

        Args:
            info: The metadata from its contract, or from a provider.
            chain_id: Its chain.
        """
        if self.is_native:
            coin = CHAIN_BY_ID[chain_id].native
            return TokenInfo(coin.symbol, coin.name, coin.decimals, info.logo_url)
        if self.listing is None:
            return info
        listing = self.listing
        return TokenInfo(
            listing.symbol or info.symbol, listing.name or info.name, info.decimals, info.logo_url or listing.logo_url
        )


UNLISTED = Identity()


def identify(key: TokenKey, listing: Listing | None) -> Identity:
    """Identifies a contract's asset.

    Args:
        key: The contract.
        listing: What the registry says about it, if anything.
    """
    chain = CHAIN_BY_ID[key.chain_id]
    is_native = key.address == NATIVE_TOKEN
    if is_native:
        coingecko_id: str | None = chain.native.coingecko_id
    else:
        coingecko_id = listing.coingecko_id if listing else None
    if not is_native and listing is None and key.address != chain.wrapped_native:
        return UNLISTED
    major = MAJORS.get(coingecko_id or "", _NO_MAJOR)
    coin = chain.native.symbol if key.address in (NATIVE_TOKEN, chain.wrapped_native) else major.coin
    binance = major.binance_base or (coin if key.address == chain.wrapped_native else None)
    return Identity(
        listing,
        is_native,
        coingecko_id,
        is_major=coin is not None or coingecko_id in MAJORS,
        binance_symbol=f"{binance}USDT" if binance else None,
        coin=coin,
        is_dollar=major.is_dollar,
    )
