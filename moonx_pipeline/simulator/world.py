"""The simulated world: holdings, their worth, and each source's data.

It is deterministic and changes only by calls::

    world = simulator.simulation.world
    good = world.add_token(
        "GOOD", chain_id=8453, price="1.5", pools=[Pool(400_000)], held={WALLET: "1000"}, coingecko_id="good-coin"
    )
    world.set_source_price("coingecko", good, "22", age=timedelta(days=200))  # an outdated listing
    world.set_source_price("alchemy", good, None)  # Alchemy has no price
    world.set_pools(good, Pool(2_000_000, quote=NATIVE_TOKEN, version="v4"), Pool(None))
    world.set_metadata(good, symbol="G\\u0000OD", decimals=None)
    world.set_row(WALLET, good, tokenBalance=None, error="execution timeout")
    world.set_price(good.price, Decimal("1.7"))  # moves it for all sources that follow the market
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from moonx_pipeline.simulator.catalogue import Catalogue
from moonx_pipeline.simulator.ledger import Ledger
from moonx_pipeline.simulator.market import Market, SimQuote
from moonx_pipeline.simulator.pools import Pool
from moonx_pipeline.simulator.rare_tokens import RARE_PRICES
from moonx_pipeline.simulator.tokens import PRICES, SimToken, derived_address
from moonx_pipeline.simulator.wallets import (
    DECEPTIVE_WALLET,
    EMPTY_WALLET,
    EVERY_CHAIN_WALLET,
    MIRROR_WALLET,
    PLAIN_WALLET,
    POLYGON_WALLET,
    POOLED_WALLET,
    SPAM_TOKENS,
    SPAM_WALLET,
    THREE_WALLETS,
    Holding,
    initial_holdings,
    units,
)

__all__ = [
    "DECEPTIVE_WALLET",
    "EMPTY_WALLET",
    "EVERY_CHAIN_WALLET",
    "MIRROR_WALLET",
    "PLAIN_WALLET",
    "POLYGON_WALLET",
    "POOLED_WALLET",
    "SPAM_TOKENS",
    "SPAM_WALLET",
    "THREE_WALLETS",
    "Holding",
    "World",
    "initial_holdings",
]

_RESTATED: Final = timedelta(hours=1)


class World:
    """The world as it is now.

    Attributes:
        catalogue: The tokens and their pools.
        ledger: The holdings.
        market: The prices, by market and source.
        price_time: When the prices last changed.
        vaults: What shares of vaults are redeemable for: a token and how many whole ones, by chain and contract.
    """

    def __init__(self) -> None:
        self.catalogue = Catalogue()
        self.ledger = Ledger(self.catalogue)
        self.market = Market({name: Decimal(price) for name, price in {**PRICES, **RARE_PRICES}.items()})
        self.price_time = datetime.now(UTC).replace(microsecond=0)
        self.vaults: dict[tuple[int, str], tuple[SimToken, Decimal]] = {}

    @property
    def prices(self) -> dict[str, Decimal]:
        """USD by name of the price; a real asset's name is its symbol."""
        return self.market.prices

    @property
    def blocks(self) -> dict[int, int]:
        """The number of each chain's newest block."""
        return self.ledger.blocks

    # Holdings.

    def holdings(self, wallet: str, chain_id: int) -> list[Holding]:
        """A wallet's holdings on a chain; a removed balance stays as 0."""
        return self.ledger.holdings(wallet, chain_id)

    def set_balance(self, wallet: str, token: SimToken, balance: int, *, logged: bool = True) -> None:
        """Sets a wallet's balance of a token, in its smallest unit, in a new block; what it gets more has a log."""
        if self.token(token.chain_id, token.address) is None:
            self.catalogue.put(token)
        self.ledger.set_balance(wallet, token, balance, logged=logged)

    def set_row(self, wallet: str, token: SimToken, **fields: Any) -> None:
        """Overwrites fields of a wallet's row of a token in Alchemy's lists; without fields, undoes that."""
        self.ledger.write_row(wallet, token, fields)

    # Tokens.

    def destroy(self, token: SimToken) -> None:
        """Ends a contract: it has no code any more, and Alchemy's lists say ``0x`` of it."""
        self.ledger.destroyed.add((token.chain_id, token.address))

    def add_token(
        self,
        symbol: str | None,
        *,
        chain_id: int = 1,
        address: str | None = None,
        name: str | None = None,
        decimals: int | None = 18,
        price: str | Decimal | None = None,
        coingecko_id: str | None = None,
        pools: Iterable[Pool] = (),
        held: Mapping[str, str | int | Decimal] | None = None,
        logo: str | None = None,
    ) -> SimToken:
        """Adds a token.

        Args:
            symbol, name, decimals, logo: As in its contract; the name is by default the symbol.
            chain_id: Its chain.
            address: Its contract; by default one derived from chain and symbol.
            price: The market price in USD. Alchemy has it, CoinGecko if the token is listed, DefiLlama if it is listed
                or has pools, DexScreener if it has pools; ``set_source_price`` makes one differ.
            coingecko_id: The coin under which CoinGecko lists it; ``None`` if it is not listed.
            pools: Its pools.
            held: Amounts in whole tokens by wallet.

        Returns:
            The token; its ``price`` is the name for ``set_price``.
        """
        contract = (address or derived_address(f"{chain_id}:added:{symbol}")).lower()
        pools = tuple(pools)
        token = SimToken(
            chain_id=chain_id,
            address=contract,
            symbol=symbol,
            name=symbol if name is None else name,
            decimals=decimals,
            price=f"{chain_id}:{contract}" if price is not None else None,
            listed=coingecko_id is not None,
            pool_usd=int(max(pool.depth_usd or 0 for pool in pools)) if pools else None,
            coingecko_id=coingecko_id,
            logo=logo,
        )
        if token.price:
            self.prices[token.price] = Decimal(str(price))
        self.catalogue.put(token, pools)
        for wallet, amount in (held or {}).items():
            self.set_balance(wallet.lower(), token, units(amount, token))
        return token

    def set_metadata(self, token: SimToken, **fields: Any) -> SimToken:
        """Changes a contract's ``symbol``, ``name``, ``decimals`` or ``logo``, to any JSON value."""
        return self.catalogue.put(replace(self.catalogue.now(token), **fields))

    def set_listed(self, token: SimToken, coingecko_id: str | None) -> SimToken:
        """Lists a contract at CoinGecko under a coin, or delists it."""
        now = self.catalogue.now(token)
        return self.catalogue.put(replace(now, listed=coingecko_id is not None, coingecko_id=coingecko_id))

    def set_pools(self, token: SimToken, *pools: Pool) -> None:
        """Replaces a token's pools; without arguments it has none. DefiLlama's price stays."""
        self.catalogue.put(self.catalogue.now(token), pools)

    def set_vault(self, share: SimToken, underlying: SimToken, rate: str | Decimal) -> None:
        """Makes a token the share of a vault (ERC-4626), redeemable for so many whole tokens of another one."""
        self.vaults[share.chain_id, share.address] = (underlying, Decimal(rate))

    def token(self, chain_id: int, address: str) -> SimToken | None:
        """A token by its lower-case contract, spam included."""
        return self.catalogue.token(chain_id, address)

    def tokens(self) -> Iterator[SimToken]:
        """Every token that is not spam."""
        return self.catalogue.tokens()

    def named(self, symbol: str, chain_id: int = 1) -> SimToken:
        """A token that is not spam, by its symbol; of several, the one that was added.

        Raises:
            LookupError: The chain has none.
        """
        for token in self.tokens():
            if (token.chain_id, token.symbol) == (chain_id, symbol):
                return token
        raise LookupError(f"Chain {chain_id} has no token {symbol}.")

    # Prices.

    def set_price(self, name: str, price: Decimal) -> None:
        """Moves a price for all sources that follow the market."""
        self.prices[name] = price
        self.price_time = datetime.now(UTC).replace(microsecond=0)

    def set_source_price(
        self,
        source: str,
        token: SimToken,
        price: str | Decimal | None,
        *,
        age: timedelta = timedelta(),
        change_percent: str | Decimal | None = None,
    ) -> None:
        """Makes one source give its own price.

        Args:
            source: ``alchemy``, ``binance``, ``coingecko``, ``defillama`` or ``dexscreener``.
            token: The token. CoinGecko has one price a coin, whatever its contracts; Binance one a pair.
            price: USD (at Binance USDT); ``None`` for no price.
            age: The price's age by the source.
            change_percent: Its move in 24 hours.
        """
        token = self.catalogue.now(token)
        self.market.differ(source, token, None if price is None else Decimal(price))
        self.market.let_age(source, token, age)
        if change_percent is not None:
            self.market.change(source, token, Decimal(change_percent))

    def follow_market(self, source: str, token: SimToken) -> None:
        """Undoes ``set_source_price``."""
        self.market.agree(source, self.catalogue.now(token))

    def quote(self, source: str, token: SimToken) -> SimQuote | None:
        """A source's quote of a token; ``None`` if it has none."""
        return self.market.quote(source, token, self.quoted_at())

    def quoted_at(self) -> datetime:
        """When sources last updated their prices; they do so even if nothing moves."""
        now = datetime.now(UTC).replace(microsecond=0)
        if now - self.price_time < _RESTATED:
            return self.price_time
        return now.replace(minute=0, second=0)

    def usd(self, token: SimToken) -> Decimal | None:
        """A token's market price in USD; ``None`` if there is none."""
        return self.market.usd(token)

    def tick(self, seed: int) -> None:
        """Moves every price by up to two percent, by the seed; USDT keeps its price."""
        walk = random.Random(seed)  # noqa: S311 - a made-up market, not a secret
        for name in sorted(self.prices):
            step = Decimal(walk.randint(-200, 200)) / 10_000
            if name != "USDT":
                self.set_price(name, (self.prices[name] * (1 + step)).normalize())
