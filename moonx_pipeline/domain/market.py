"""What is known of the tokens at hand at one moment; it grows as sources answer."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, NamedTuple

from moonx_pipeline.domain.chains import CHAIN_BY_ID, KNOWN_CHAINS, NATIVE_TOKEN, ZERO_ADDRESS
from moonx_pipeline.domain.evidence import NO_EVIDENCE, Accepted, DepthState, Evidence, merge, with_quotes_of
from moonx_pipeline.domain.flags import BLOCKING_FLAGS
from moonx_pipeline.domain.identity import Identity, Listing, identify
from moonx_pipeline.domain.portfolio import TokenKey
from moonx_pipeline.domain.pricing import Choice, PriceLimits, age_factor, choose_price
from moonx_pipeline.domain.quotes import PriceSource

USDT_KEY: Final = TokenKey(1, "0xdac17f958d2ee523a2206206994597c13d831ec7")
"""The token whose price turns a quote in USDT into one in USD."""

COIN_KEYS: Final = frozenset(
    TokenKey(chain.id, address) for chain in KNOWN_CHAINS for address in (NATIVE_TOKEN, chain.wrapped_native)
)
ALWAYS_KNOWN: Final = COIN_KEYS | {USDT_KEY}
"""Tokens whose evidence pricing needs even where the user holds none: others are quoted in them."""

_PAR: Final = Decimal(1)
WAITS_AT_MOST: Final = timedelta(hours=24)
"""The oldest price that is used of a token whose turn to be asked for has not come yet."""

JUDGED_AGAIN: Final = timedelta(hours=24)
"""How often a token that is spam is asked for again."""


_ACCEPTED_ANEW: Final = timedelta(hours=1)
"""A price that hardly moved is not written again before."""


class Known(NamedTuple):
    """What is stored of a token beyond its metadata."""

    listing: Listing | None = None
    evidence: Evidence = NO_EVIDENCE


NOTHING_KNOWN: Final = Known()


class Market:
    """Identities and evidence of tokens, and the prices that follow from them.

    Attributes:
        now: The time at which everything is judged.
        limits: Bounds of trust.
        learned: Evidence of the tokens of which something was learned, to be stored.
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
        """Takes what is stored.

        Args:
            known: Of the tokens at hand and of ``ALWAYS_KNOWN``.
            now: The time.
            limits: Bounds of trust.
            fresh_for: A price that matters is read anew when it is older.
            old_after: A price that matters is old, and flagged so, when it is older.
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
        self.take_in(known)

    def take_in(self, known: Mapping[TokenKey, Known]) -> None:
        """Adds what is stored of further tokens."""
        for key, what in known.items():
            self._known[key] = what
            identity = self._identities[key] = identify(key, what.listing)
            if identity.coin:
                self._coins.setdefault(identity.coin, set()).add(key)
        self._choices.clear()

    def weigh(self, worth: Mapping[TokenKey, Decimal]) -> None:
        """Says what the largest holding of tokens is worth in USD, which decides how old a price may be."""
        self._worth = worth
        self._choices.clear()

    def knows(self, key: TokenKey) -> bool:
        """Whether what is stored of a token was taken in."""
        return key in self._known

    def identity(self, key: TokenKey) -> Identity:
        identity = self._identities.get(key)
        if identity is None:
            identity = self._identities[key] = identify(key, None)
        return identity

    def own_evidence(self, key: TokenKey) -> Evidence:
        """What is known of a token itself."""
        return self._known.get(key, NOTHING_KNOWN).evidence

    def evidence(self, key: TokenKey) -> Evidence:
        """What is known of a token: a native coin, its wrapped form and its listings price each other."""
        own = self.own_evidence(key)
        coin = self.identity(key).coin
        if coin is None:
            return own
        # In a fixed order, so that it is always the same one of two that say something else at one time: its chain's.
        others = sorted(self._coins.get(coin, set()) - {key}, key=lambda other: (other.chain_id == key.chain_id, other))
        return with_quotes_of(own, map(self.own_evidence, others))

    def learn(self, key: TokenKey, new: Evidence) -> None:
        """Adds what a source said."""
        known = self._known.get(key, NOTHING_KNOWN)
        merged = merge(known.evidence, new)
        self._known[key] = known._replace(evidence=merged)
        self.learned[key] = merged
        if self.identity(key).coin:
            self._choices.clear()
        else:
            self._choices.pop(key, None)

    def is_listed(self, key: TokenKey) -> bool:
        """Whether a list names the contract, or CoinGecko has priced it by its contract."""
        return self.identity(key).is_listed or PriceSource.COINGECKO in self.own_evidence(key).quotes

    def is_deep(self, key: TokenKey) -> bool:
        """Whether it has a pool with trusted depth."""
        depth = self.own_evidence(key).depth_now(self.now)
        return depth is not None and depth.state is DepthState.DEEP

    def was_deep(self, key: TokenKey) -> bool:
        """Whether it had a pool with trusted depth by the last answer of a source that knows pools, however old."""
        evidence = self.own_evidence(key)
        depth = evidence.depth_now(evidence.answered.get(PriceSource.DEXSCREENER, self.now))
        return depth is not None and depth.state is DepthState.DEEP

    def was_asked_for(self, key: TokenKey) -> bool:
        """Whether a source that knows pools has ever answered about it."""
        return PriceSource.DEXSCREENER in self.own_evidence(key).answered

    def price_age(self, key: TokenKey) -> timedelta:
        """How old a price of the token may be before it is read anew."""
        return self._fresh_for * self._age_factor(key)

    def _age_factor(self, key: TokenKey) -> int:
        if self.identity(key).is_major:
            return 1
        return age_factor(bool(self.own_evidence(key).quotes), self._worth.get(key))

    def is_due(self, key: TokenKey, source: PriceSource) -> bool:
        """Whether a source is to be asked about a token."""
        return self.overdue(key, source) > 1

    def overdue(self, key: TokenKey, source: PriceSource) -> float:
        """How long ago a source answered, in units of the age that is allowed; infinite where it never did."""
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
        """Whether a price of the token was read within a time."""
        quote = self.choice(key).quote
        return quote is not None and self.now - quote.read_at <= age

    def accept(self, key: TokenKey) -> None:
        """Remembers a token's price for the next ones to be measured against, where it is beyond doubt and news."""
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

    def usdt_rate(self) -> Decimal | None:
        """What a USDT is worth in USD; ``None`` if nobody has said lately."""
        quote = self.choice(USDT_KEY).quote
        return quote.price_usd if quote else None

    def trusted_price(self, key: TokenKey) -> Decimal | None:
        """The price of a token that is trusted as the other side of a pool: a matter of the market, not of a wallet."""
        identity = self.identity(key)
        if not identity.is_major and not (self.is_listed(key) and self.is_deep(key)):
            return None
        choice = self.choice(key)
        if choice.quote is not None and BLOCKING_FLAGS.isdisjoint(choice.flags):
            return choice.quote.price_usd
        return _PAR if identity.is_dollar else None

    def trusted_quotes(self, chain_id: int, others: Collection[str]) -> dict[str, Decimal]:
        """Prices of those of some tokens that are trusted as the other side of a chain's pools, by contract."""
        trusted = {}
        for address in others:
            price = self.trusted_price(other_side_key(chain_id, address))
            if price is not None:
                trusted[address] = price
        return trusted


def other_side_key(chain_id: int, address: str) -> TokenKey:
    """The token that a pool names: Uniswap v4 and others name the native coin itself, by the zero address."""
    if address == ZERO_ADDRESS or address in CHAIN_BY_ID[chain_id].native_mirrors:
        return TokenKey(chain_id, NATIVE_TOKEN)
    return TokenKey(chain_id, address)
