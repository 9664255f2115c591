"""The market: what is known about the tokens at hand at one moment; it grows as sources answer."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, NamedTuple

from moonx_pipeline.domain.chains import CHAIN_BY_ID, KNOWN_CHAINS, NATIVE_TOKEN, ZERO_ADDRESS
from moonx_pipeline.domain.evidence import NO_EVIDENCE, Accepted, DepthState, Evidence, merge, with_quotes_of
from moonx_pipeline.domain.flags import BLOCKING_FLAGS
from moonx_pipeline.domain.identity import Identity, Listing, identify
from moonx_pipeline.domain.money import value_of
from moonx_pipeline.domain.pools import TrustedSide
from moonx_pipeline.domain.portfolio import TokenKey
from moonx_pipeline.domain.price_limits import PAR, PriceLimits, age_factor
from moonx_pipeline.domain.pricing import Choice, choose_price
from moonx_pipeline.domain.quotes import PriceSource, Quote
from moonx_pipeline.domain.vault_shares import Redemption

USDT_KEY: Final = TokenKey(1, "0xdac17f958d2ee523a2206206994597c13d831ec7")
"""The token whose price converts quotes from USDT to USD."""

COIN_KEYS: Final = frozenset(
    TokenKey(chain.id, address) for chain in KNOWN_CHAINS for address in (NATIVE_TOKEN, chain.wrapped_native)
)
ALWAYS_KNOWN: Final = COIN_KEYS | {USDT_KEY}
"""Tokens whose evidence pricing needs even if the user holds none: others are quoted in them."""

WAITS_AT_MOST: Final = timedelta(hours=24)
"""The oldest usable price of a token that still waits for its turn to be asked for."""

JUDGED_AGAIN: Final = timedelta(hours=24)
"""How often a spam token is asked for again."""


MOST_NESTED: Final = 2
"""A share may be redeemable for another share, and that one for a token; the chain is followed no further."""

_ACCEPTED_ANEW: Final = timedelta(hours=1)
"""How long before a price that hardly moved is written again."""


class Known(NamedTuple):
    """What is stored about a token beyond its metadata."""

    listing: Listing | None = None
    evidence: Evidence = NO_EVIDENCE


NOTHING_KNOWN: Final = Known()


class Market:
    """Identities and evidence of tokens, and the prices that follow from them.

    Attributes:
        now: The time at which everything is judged.
        limits: Bounds of trust.
        learned: New evidence by token, to be stored.
    """

    def __init__(
        self,
        known: Mapping[TokenKey, Known],
        *,
        now: datetime,
        limits: PriceLimits,
        fresh_for: timedelta,
        old_after: timedelta,
    ) -> None:
        """Makes a market from what is stored.

        Args:
            known: What is stored about the tokens at hand and about ``ALWAYS_KNOWN``.
            now: The time.
            limits: Bounds of trust.
            fresh_for: An older price is read again, if it is important.
            old_after: An older price is flagged as old, if it is important.
        """
        self.now = now
        self.limits = limits
        self.learned: dict[TokenKey, Evidence] = {}
        self.waiting: frozenset[TokenKey] = frozenset()
        self._fresh_for = fresh_for
        self._old_after = max(old_after, fresh_for)
        self._known: dict[TokenKey, Known] = {}
        self._identities: dict[TokenKey, Identity] = {}
        self._coins: dict[str, set[TokenKey]] = {}
        self._worth: Mapping[TokenKey, Decimal] = {}
        self._choices: dict[TokenKey, Choice] = {}
        self._redemptions: Mapping[TokenKey, Redemption] = {}
        self._underlyings: frozenset[TokenKey] = frozenset()
        self.take_in(known)

    def take_in(self, known: Mapping[TokenKey, Known]) -> None:
        """Adds what is stored about further tokens."""
        for key, what in known.items():
            self._known[key] = what
            identity = self._identities[key] = identify(key, what.listing)
            if identity.coin:
                self._coins.setdefault(identity.coin, set()).add(key)
        self._choices.clear()

    def weigh(self, worth: Mapping[TokenKey, Decimal]) -> None:
        """Sets the USD value of each token's largest holding, which decides how old its price may be."""
        self._worth = worth
        self._choices.clear()

    def redeem(self, redemptions: Mapping[TokenKey, Redemption]) -> None:
        """Sets what shares are redeemable for."""
        self._redemptions = redemptions
        self._underlyings = frozenset(redemption.underlying for redemption in redemptions.values())
        self._choices.clear()

    def knows(self, key: TokenKey) -> bool:
        """Whether what is stored about a token was added."""
        return key in self._known

    def identity(self, key: TokenKey) -> Identity:
        identity = self._identities.get(key)
        if identity is None:
            identity = self._identities[key] = identify(key, None)
        return identity

    def own_evidence(self, key: TokenKey) -> Evidence:
        """What is known about the token itself."""
        return self._known.get(key, NOTHING_KNOWN).evidence

    def evidence(self, key: TokenKey) -> Evidence:
        """What is known about a token: a native coin, its wrapped form and its listings price each other.

        A share's has a price by what it is redeemable for, too, which is never stored.
        """
        own = self.own_evidence(key)
        if key in self._redemptions and (quote := self._redemption_quote(key)) is not None:
            own = own._replace(quotes={**own.quotes, PriceSource.REDEMPTION: quote})
        coin = self.identity(key).coin
        if coin is None:
            return own
        # In a fixed order: if two differ at the same time, the one of the token's own chain always wins.
        others = sorted(self._coins.get(coin, set()) - {key}, key=lambda other: (other.chain_id == key.chain_id, other))
        return with_quotes_of(own, map(self.own_evidence, others))

    def learn(self, key: TokenKey, new: Evidence) -> None:
        """Adds a source's answer."""
        known = self._known.get(key, NOTHING_KNOWN)
        merged = merge(known.evidence, new)
        self._known[key] = known._replace(evidence=merged)
        self.learned[key] = merged
        if self.identity(key).coin or key in self._underlyings:
            self._choices.clear()
        else:
            self._choices.pop(key, None)

    def is_listed(self, key: TokenKey) -> bool:
        """Whether a list names the contract, or CoinGecko has priced it by its contract."""
        return self.identity(key).is_listed or PriceSource.COINGECKO in self.own_evidence(key).quotes

    def is_deep(self, key: TokenKey) -> bool:
        """Whether a pool of the token has trusted depth."""
        depth = self.own_evidence(key).depth_now(self.now)
        return depth is not None and depth.state is DepthState.DEEP

    def was_deep(self, key: TokenKey) -> bool:
        """Whether a pool had trusted depth in the last answer of a source that knows pools, however old."""
        evidence = self.own_evidence(key)
        depth = evidence.depth_now(evidence.answered.get(PriceSource.DEXSCREENER, self.now))
        return depth is not None and depth.state is DepthState.DEEP

    def was_asked_for(self, key: TokenKey) -> bool:
        """Whether a source that knows pools has ever answered about the token."""
        return PriceSource.DEXSCREENER in self.own_evidence(key).answered

    def price_age(self, key: TokenKey) -> timedelta:
        """How old the token's price may be before it is read again."""
        return self._fresh_for * self._age_factor(key)

    def _age_factor(self, key: TokenKey) -> int:
        if self.identity(key).is_major:
            return 1
        return age_factor(bool(self.own_evidence(key).quotes), self._worth.get(key))

    def is_due(self, key: TokenKey, source: PriceSource) -> bool:
        """Whether to ask a source about a token."""
        return self.overdue(key, source) > 1

    def overdue(self, key: TokenKey, source: PriceSource) -> float:
        """How long ago a source answered, in units of the allowed age; infinite if it never did."""
        answered = self.own_evidence(key).answered.get(source)
        if answered is None:
            return float("inf")
        allowed = self.price_age(key)
        seconds = (self.now - answered).total_seconds()
        return seconds / allowed.total_seconds() if allowed else float("inf")

    def choice(self, key: TokenKey) -> Choice:
        """The price of a token and how it was found."""
        choice = self._choices.get(key)
        if choice is None:
            choice = self._choices[key] = choose_price(
                self.evidence(key),
                self.identity(key),
                now=self.now,
                limits=self.limits,
                fresh_for=self._old_after * self._age_factor(key),
                oldest=WAITS_AT_MOST if key in self.waiting else None,
            )
        return choice

    def has_price_of(self, key: TokenKey, age: timedelta) -> bool:
        """Whether the token's price was read within ``age``."""
        quote = self.choice(key).quote
        return quote is not None and self.now - quote.read_at <= age

    def accept(self, key: TokenKey) -> None:
        """Stores a token's price to measure later ones against, if it is beyond doubt and new."""
        choice, known = self.choice(key), self._known.get(key, NOTHING_KNOWN)
        new, before = choice.accepted(self.now), known.evidence.accepted
        if new is None or (before is not None and not self._is_news(new, before)):
            return
        evidence = known.evidence._replace(accepted=new)
        self._known[key] = known._replace(evidence=evidence)
        self.learned[key] = evidence

    def _is_news(self, new: Accepted, before: Accepted) -> bool:
        low, high = sorted((new.price_usd, before.price_usd))
        return new.at - before.at > _ACCEPTED_ANEW or high > low * (1 + self.limits.disagreement_percent / 100)

    def redeemable_usd(self, key: TokenKey) -> Decimal | None:
        """What a share's vault itself holds of what it redeems, in USD; ``None`` if either is unknown."""
        redemption = self._redemptions.get(key)
        if redemption is None or redemption.held is None:
            return None
        price = self._undoubted_price(redemption.underlying)
        return None if price is None else value_of(redemption.held, price)

    def _redemption_quote(self, key: TokenKey) -> Quote | None:
        """A share's price by what it is redeemable for; ``None`` if it rests on anything doubtful.

        The token that it is redeemable for must be listed: the worth of any other is bounded by its pools, and a vault
        could hold any amount of it. If no list names the share, it must be known what the vault itself holds.
        """
        redemption = self._redemptions[key]
        if not self._is_followed(key) or not self.is_listed(redemption.underlying):
            return None
        if redemption.held is None and not self.is_listed(key):
            return None
        choice = self.choice(redemption.underlying)
        if choice.quote is None or not BLOCKING_FLAGS.isdisjoint(choice.flags):
            return None
        return Quote(
            PriceSource.REDEMPTION,
            value_of(redemption.rate, choice.quote.price_usd),
            choice.quote.price_at,
            choice.quote.read_at,
            at_par=choice.quote.at_par,
        )

    def _is_followed(self, key: TokenKey) -> bool:
        """Whether what a share is redeemable for ends soon in a token that is no share: vaults may name each other."""
        for _ in range(MOST_NESTED):
            key = self._redemptions[key].underlying
            if key not in self._redemptions:
                return True
        return False

    def usdt_rate(self) -> Decimal | None:
        """The price of USDT in USD; ``None`` if no source has given one recently, or it is in doubt."""
        return self._undoubted_price(USDT_KEY)

    def trusted_price(self, key: TokenKey) -> Decimal | None:
        """The price of a token trusted as the other side of a pool: it depends on the market, not on a wallet."""
        identity = self.identity(key)
        if not identity.is_major and not (self.is_listed(key) and self.is_deep(key)):
            return None
        price = self._undoubted_price(key)
        return PAR if price is None and identity.is_dollar else price

    def _undoubted_price(self, key: TokenKey) -> Decimal | None:
        choice = self.choice(key)
        return choice.quote.price_usd if choice.quote and BLOCKING_FLAGS.isdisjoint(choice.flags) else None

    def trusted_sides(self, chain_id: int, others: Collection[str]) -> dict[str, TrustedSide]:
        """Those tokens, by contract, that are trusted as the other side of a chain's pools."""
        trusted = {}
        for address in others:
            key = other_side_key(chain_id, address)
            price = self.trusted_price(key)
            if price is not None:
                depth = None if self.identity(key).is_major else self.own_evidence(key).depth
                trusted[address] = TrustedSide(price, depth.usd if depth else None)
        return trusted


def other_side_key(chain_id: int, address: str) -> TokenKey:
    """The token of an address in a pool: Uniswap v4 and others name the native coin by the zero address."""
    if address == ZERO_ADDRESS or address in CHAIN_BY_ID[chain_id].native_mirrors:
        return TokenKey(chain_id, NATIVE_TOKEN)
    return TokenKey(chain_id, address)
