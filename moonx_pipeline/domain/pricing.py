"""Chooses a token's price from the evidence about it: a table of rules, applied from top to bottom.

====================  ==================================================================================================
rule                  what it does
====================  ==================================================================================================
``too_old``           a quote that was read longer ago than allowed is not used
``outdated``          a quote that its own source dates as old is shown only if there is no other, and not counted
``thin``              DEX prices are ignored for a token whose pools are all thin (shown as low liquidity, not
                      counted), and so is the price of a pool of unknown depth
``redeemable``        what a share is redeemable for is not used if a listing prices it, or, of a share that no list
                      names, if anybody does
``trust``             the most trusted of the others is chosen: a listing, then a price of known depth, then the rest
``outvoted``          two that agree outvote one that is far apart from them
``far_apart``         one against one, far apart: not counted
``unconfirmed``       a DEX price that no depth backs, for a token that no list names, if no other source confirms it or
                      the depth of its pools was never known; for a listed one, if no pool is known and no other source
                      confirms it: counted up to a bound
``jump``              a price that moved far within a day, and that no other source confirms: not counted
====================  ==================================================================================================

``docs/trust.md`` has the same rules in words, with the reasons.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, NamedTuple

from moonx_pipeline.domain.evidence import Accepted, DepthState, Evidence, PoolDepth
from moonx_pipeline.domain.flags import (
    LOW_LIQUIDITY,
    OLD_PRICE,
    OUTDATED_PRICE,
    PRICE_JUMP,
    SOURCES_DISAGREE,
    SOURCES_FAR_APART,
    UNCONFIRMED_PRICE,
    USDT_AT_PAR,
)
from moonx_pipeline.domain.identity import Identity
from moonx_pipeline.domain.price_limits import DOLLAR_FACTOR, PAR, REFERENCE_AGE, STABLE_AGE_FACTOR, PriceLimits
from moonx_pipeline.domain.quotes import PriceSource, Quote

_LISTINGS: Final = frozenset({PriceSource.BINANCE, PriceSource.COINGECKO})
# For a major, DefiLlama's price and Alchemy's average over pools go before a single pool's price.
_TRUST_MAJORS: Final = (
    PriceSource.BINANCE,
    PriceSource.COINGECKO,
    PriceSource.REDEMPTION,
    PriceSource.DEFILLAMA,
    PriceSource.ALCHEMY,
    PriceSource.DEXSCREENER,
)
_TRUST: Final = tuple(PriceSource)


class Use(NamedTuple):
    """What became of one quote.

    Attributes:
        quote: The quote.
        use: ``chosen``, ``agrees``, ``differs``, ``far_apart``, ``outdated``, ``too_old``, ``refused`` or ``unneeded``.
    """

    quote: Quote
    use: str


class Choice(NamedTuple):
    """A token's price and how it was found.

    Attributes:
        quote: The chosen quote; ``None`` if none may be shown.
        rule: Why it was chosen: ``listing``, ``redeemable``, ``deep_pools``, ``two_agree``, ``single_source``,
            ``outvoted``, ``thin_pools``, ``outdated`` or ``none``.
        flags: Its flags, sorted.
        change_24h: In percent, from the most trusted source that gives one.
        depth: The depth of its pools, if still believed.
        uses: What became of each quote.
        is_open: Whether to ask another source: there is no price, or it is in doubt or old.
        is_acceptable: Whether later prices may be measured against it.
    """

    quote: Quote | None
    rule: str
    flags: tuple[str, ...]
    change_24h: Decimal | None
    depth: PoolDepth | None
    uses: tuple[Use, ...]
    is_open: bool
    is_acceptable: bool

    def accepted(self, now: datetime) -> Accepted | None:
        """The price as a reference for later ones; ``None`` if it is not acceptable."""
        return Accepted(self.quote.price_usd, now) if self.quote and self.is_acceptable else None


def choose_price(
    evidence: Evidence,
    identity: Identity,
    *,
    now: datetime,
    limits: PriceLimits,
    fresh_for: timedelta,
    oldest: timedelta | None = None,
) -> Choice:
    """Chooses a token's price.

    Args:
        evidence: What is known about it.
        identity: Which asset it is.
        now: The time.
        limits: Bounds of trust.
        fresh_for: A quote that was read longer ago should have been read again, and is flagged as old.
        oldest: A quote that was read longer ago is not used; ``limits.stale_after`` by default.
    """
    depth = evidence.depth_now(now)
    case = _Case(identity, depth, limits, now, fresh_for)
    oldest = oldest or limits.stale_after
    usable, outdated, too_old = case.sorted_by_age(evidence, oldest)
    voters = [quote for quote in usable if case.has_say(quote)]
    refused = [quote for quote in usable if quote not in voters]
    uses = [*(Use(quote, "outdated") for quote in outdated), *(Use(quote, "too_old") for quote in too_old)]
    if not voters:
        return _without_voters(case, refused, outdated, uses)
    uses += [Use(quote, "refused") for quote in refused]
    unneeded = case.unneeded(voters)
    voters = [quote for quote in voters if quote is not unneeded]
    uses += [Use(unneeded, "unneeded")] if unneeded else []
    # A doubt does not end by growing older than the price that it is about.
    witnesses = [
        quote
        for quote in too_old
        if case.has_say(quote) and voters[0].read_at - quote.read_at <= oldest and not _is_redemption(quote)
    ]
    witnesses += case.in_chorus(refused)
    best, rule, flags = _elect(case, voters, witnesses)
    others = [quote for quote in voters if quote is not best]
    agreeing = [quote for quote in others if case.agree(best, quote)]
    if len(agreeing) < len(others):
        flags.add(SOURCES_DISAGREE)
    if rule == "trust":
        rule = case.name_of_trust(best, agreeing)
    if _is_unconfirmed(rule, evidence, identity):
        flags.add(UNCONFIRMED_PRICE)
    if not agreeing and case.jumped(best, evidence.accepted):
        flags.add(PRICE_JUMP)
    if case.is_old(best):
        flags.add(OLD_PRICE)
    if best.at_par:
        flags.add(USDT_AT_PAR)
    uses += [Use(best, "chosen"), *(Use(quote, case.use_beside(best, quote)) for quote in others)]
    return Choice(
        best,
        rule,
        tuple(sorted(flags)),
        next((quote.change_24h for quote in (best, *others) if quote.change_24h is not None), None),
        depth,
        tuple(uses),
        is_open=rule == "single_source" or bool(flags & {SOURCES_FAR_APART, PRICE_JUMP, UNCONFIRMED_PRICE, OLD_PRICE}),
        is_acceptable=not flags & {SOURCES_FAR_APART, PRICE_JUMP},
    )


def _is_unconfirmed(rule: str, evidence: Evidence, identity: Identity) -> bool:
    if identity.is_listed:
        return rule == "single_source" and evidence.is_without_pools and not identity.is_major
    return rule == "single_source" or (rule == "two_agree" and not evidence.is_measured)


def _without_voters(case: _Case, refused: Sequence[Quote], outdated: Sequence[Quote], uses: list[Use]) -> Choice:
    """The choice if no quote counts: the price of thin pools is shown, else an outdated one; neither is counted."""
    best, rule, flags = None, "none", []
    if refused and case.is_thin:
        best, rule, flags = refused[0], "thin_pools", [LOW_LIQUIDITY]
        if not case.identity.is_listed:
            flags.append(UNCONFIRMED_PRICE)
    elif outdated:
        best, rule, flags = outdated[0], "outdated", [OUTDATED_PRICE]
    uses = [use for use in (*uses, *(Use(quote, "refused") for quote in refused)) if use.quote is not best]
    return Choice(
        best,
        rule,
        tuple(sorted(flags)),
        best.change_24h if best else None,
        case.depth,
        tuple(uses) if best is None else (Use(best, "chosen"), *uses),
        is_open=rule != "thin_pools",
        is_acceptable=False,
    )


def _elect(case: _Case, voters: Sequence[Quote], witnesses: Sequence[Quote]) -> tuple[Quote, str, set[str]]:
    """The most trusted of the voters, unless more voters contradict it than support it; witnesses only raise doubts."""
    best, heard = voters[0], [*voters, *witnesses]
    against = [quote for quote in heard if case.far_apart(best, quote)]
    if not against:
        return best, "trust", set()
    camps = [[quote for quote in against if quote is one or case.agree(one, quote)] for one in against]
    largest = max(camps, key=len)
    supporters = len(heard) - len(against)
    usable = [quote for quote in largest if quote in voters]
    if len(usable) > len([quote for quote in voters if quote not in against]):
        return usable[0], "outvoted", set()
    return best, "trust", {SOURCES_FAR_APART} if len(largest) >= supporters else set()


@dataclass(frozen=True, slots=True)
class _Case:
    """The basis on which one token's quotes are judged."""

    identity: Identity
    depth: PoolDepth | None
    limits: PriceLimits
    now: datetime
    fresh_for: timedelta

    def sorted_by_age(self, evidence: Evidence, oldest: timedelta) -> tuple[list[Quote], list[Quote], list[Quote]]:
        """Usable quotes, outdated ones and ones read too long ago; in each, the most trusted first."""
        usable, outdated, too_old = [], [], []
        for quote in sorted(evidence.quotes.values(), key=self.trust):
            if self.now - quote.read_at > oldest:
                too_old.append(quote)
            elif self.is_outdated(quote):
                outdated.append(quote)
            else:
                usable.append(quote)
        return usable, outdated, too_old

    def trust(self, quote: Quote) -> tuple[int, bool, int]:
        """A sort key, lower is more trusted: listings, then quotes backed by depth, then the rest; fresh before old."""
        order = _TRUST_MAJORS if self.identity.is_major else _TRUST
        backed = self.identity.is_major or self.is_deep
        tier = 0 if quote.source in _LISTINGS else 1 if backed else 2
        return (tier, self.is_old(quote), order.index(quote.source))

    @property
    def is_deep(self) -> bool:
        return self.depth is not None and self.depth.state is DepthState.DEEP

    @property
    def is_thin(self) -> bool:
        return self.depth is not None and self.depth.state is DepthState.THIN

    def has_say(self, quote: Quote) -> bool:
        """Whether a quote counts: the maker of a token without liquidity sets its DEX price at will."""
        if quote.source in _LISTINGS or self.identity.is_major:
            return True
        if _is_redemption(quote):  # by what the vault pays, whatever pools do
            return True
        if quote.source is PriceSource.DEXSCREENER:
            return self.is_deep
        return not self.is_thin

    def unneeded(self, voters: Sequence[Quote]) -> Quote | None:
        """A vault's word where others are to be heard: against a listing, or at all if no list names the share."""
        others = [quote for quote in voters if not _is_redemption(quote)]
        is_heard = self.identity.is_listed and not any(quote.source in _LISTINGS for quote in others)
        return None if is_heard or not others else next(filter(_is_redemption, voters), None)

    def is_outdated(self, quote: Quote) -> bool:
        bound = self.limits.max_age * (STABLE_AGE_FACTOR if self.identity.is_dollar else 1)
        return quote.price_at is not None and self.now - quote.price_at > bound

    def is_old(self, quote: Quote) -> bool:
        return self.now - quote.read_at > self.fresh_for

    def agree(self, one: Quote, other: Quote) -> bool:
        return not _apart(one.price_usd, other.price_usd, 1 + self.limits.disagreement_percent / 100)

    def far_apart(self, one: Quote, other: Quote) -> bool:
        return _apart(one.price_usd, other.price_usd, self.bounded(self.limits.far_factor))

    def bounded(self, factor: Decimal) -> Decimal:
        """A factor between two prices, narrower for a dollar."""
        return min(factor, DOLLAR_FACTOR) if self.identity.is_dollar else factor

    def in_chorus(self, refused: Sequence[Quote]) -> list[Quote]:
        """Quotes that may set no price, and that raise a doubt since another source says the same."""
        return [quote for quote in refused if any(self.agree(quote, other) for other in refused if other is not quote)]

    def jumped(self, quote: Quote, accepted: Accepted | None) -> bool:
        if accepted is not None and self.now - accepted.at <= REFERENCE_AGE:
            reference = accepted.price_usd
        elif self.identity.is_dollar:
            reference = PAR
        else:
            return False
        return _apart(quote.price_usd, reference, self.bounded(self.limits.jump_factor))

    def name_of_trust(self, best: Quote, agreeing: Sequence[Quote]) -> str:
        """The kind of trust by which a quote was chosen."""
        if best.source in _LISTINGS:
            return "listing"
        if _is_redemption(best) and self.identity.is_listed:
            return "redeemable"
        if self.is_deep:
            return "deep_pools"
        return "two_agree" if agreeing else "single_source"

    def use_beside(self, best: Quote, quote: Quote) -> str:
        if self.far_apart(best, quote):
            return "far_apart"
        return "agrees" if self.agree(best, quote) else "differs"


def _is_redemption(quote: Quote) -> bool:
    return quote.source is PriceSource.REDEMPTION


def _apart(one: Decimal, other: Decimal, factor: Decimal) -> bool:
    low, high = sorted((one, other))
    return high > low * factor
