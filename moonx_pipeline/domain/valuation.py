"""Turns balances and prices into positions, and into a total that says what it omits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple

from moonx_pipeline.domain.chains import DISPLAY_ORDER
from moonx_pipeline.domain.evidence import DepthState
from moonx_pipeline.domain.flags import (
    BLOCKING_FLAGS,
    EXCEEDS_LIQUIDITY,
    LOW_LIQUIDITY,
    SPAM,
    SUSPECTED,
    UNCONFIRMED_PRICE,
    UNPRICED,
)
from moonx_pipeline.domain.holdings import Holding
from moonx_pipeline.domain.market import Market
from moonx_pipeline.domain.money import amount_of, total_of, value_of
from moonx_pipeline.domain.portfolio import UNKNOWN_TOKEN, Position, TokenInfo, TokenKey
from moonx_pipeline.domain.pricing import Choice
from moonx_pipeline.domain.quotes import PriceSource
from moonx_pipeline.domain.spam import judge_spam, suspicions

_NO_VALUE: Final = Decimal(-1)
# A named tuple's own constructor takes a third of the time in which a sweep values a portfolio.
_new_position: Final = tuple.__new__
_HELD_APART: Final = BLOCKING_FLAGS - {UNCONFIRMED_PRICE}


@dataclass(frozen=True, slots=True)
class Totals:
    """A portfolio's value, with counts of what it omits.

    Attributes:
        value_usd: The exact sum of the counted positions' values.
        counted: Positions in the sum.
        unpriced: Positions whose value is unknown.
        spam: Positions marked as spam.
        flagged: Positions left out because their price or size can't be trusted.
        low_liquidity: Positions left out because they can hardly be sold.
        unread: Tokens whose balance could not be read and was never known.
        stale_chains: Ids of chains whose positions are the last known ones, in display order.
    """

    value_usd: Decimal
    counted: int
    unpriced: int
    spam: int
    flagged: int
    low_liquidity: int
    unread: int
    stale_chains: tuple[int, ...]

    @property
    def complete(self) -> bool:
        """Whether every chain is fresh and every balance on them was read."""
        return not self.stale_chains and not self.unread

    @property
    def omitted(self) -> dict[str, Any]:
        """What the sum omits, as stored, sent and shown."""
        return {
            "unpriced": self.unpriced,
            "spam": self.spam,
            "flagged": self.flagged,
            "lowLiquidity": self.low_liquidity,
            "unread": self.unread,
            "staleChains": list(self.stale_chains),
        }


def is_counted(position: Position) -> bool:
    """Whether a position's value is in the total."""
    return position.not_counted_reason is None


def totals_of(positions: Iterable[Position], stale_chains: Iterable[int], unread: int = 0) -> Totals:
    """Sums a portfolio up; the order of positions never matters.

    Args:
        positions: All of them.
        stale_chains: Chains whose positions are the last known ones.
        unread: Tokens whose balance could not be read and was never known.
    """
    counted: list[Decimal] = []
    left_out = dict.fromkeys((UNPRICED, SPAM, LOW_LIQUIDITY, "flagged"), 0)
    for position in positions:
        reason = position.not_counted_reason
        if reason is None and position.value_usd is not None:
            counted.append(position.value_usd)
        elif reason is not None:
            left_out[reason if reason in left_out else "flagged"] += 1
    return Totals(
        value_usd=total_of(counted),
        counted=len(counted),
        unpriced=left_out[UNPRICED],
        spam=left_out[SPAM],
        flagged=left_out["flagged"],
        low_liquidity=left_out[LOW_LIQUIDITY],
        unread=unread,
        stale_chains=tuple(sorted(set(stale_chains), key=lambda chain_id: DISPLAY_ORDER.get(chain_id, chain_id))),
    )


class TokenFacts(NamedTuple):
    """The facts that apply to every holding of a token.

    Attributes:
        info: Its metadata; a listed token's names are from its list.
        is_listed: Whether a list or listing names its contract.
        suspected_for: The signs of forgery in its names, whatever the verdict.
        spam_reasons: Why it is spam; empty if it is not.
        flags: Its flags.
        choice: Its price and how it was found.
        market_usd: What its deep pools, or the vault that it is a share of, could pay for all of it together, which
            bounds a token that no list names; ``None`` if it has neither.
    """

    info: TokenInfo
    is_listed: bool
    suspected_for: tuple[str, ...]
    spam_reasons: tuple[str, ...]
    flags: tuple[str, ...]
    choice: Choice
    market_usd: Decimal | None


def token_facts(key: TokenKey, info: TokenInfo | None, market: Market) -> TokenFacts:
    """The facts that apply to every holding of a token.

    Args:
        key: The token.
        info: Metadata from its contract or a provider; ``None`` if none has answered yet.
        market: What is known about it and other tokens.
    """
    choice, is_listed = market.choice(key), market.is_listed(key)
    suspected_for = suspicions(info) if info is not None and not is_listed else ()
    # An outage is no answer: a token that was deep in the last answer about pools does not become spam.
    verdict = judge_spam(
        suspected_for, is_listed=is_listed, is_deep=market.was_deep(key), was_asked_for=market.was_asked_for(key)
    )
    # The last read depth of its pools is the bound, however old.
    depth = market.own_evidence(key).depth
    market_usd = depth.usd if depth is not None and depth.state is DepthState.DEEP else None
    if choice.quote is not None and choice.quote.source is PriceSource.REDEMPTION:
        market_usd = market.redeemable_usd(key)
    return TokenFacts(
        market.identity(key).described(info or UNKNOWN_TOKEN, key.chain_id),
        is_listed,
        suspected_for,
        verdict.spam_reasons,
        tuple(sorted({*choice.flags, SUSPECTED})) if verdict.is_pending else choice.flags,
        choice,
        market_usd,
    )


@dataclass(frozen=True, slots=True)
class Valuer:
    """Values holdings by the same names and prices; works out each token's facts once.

    Attributes:
        tokens: Metadata of tokens.
        market: Their identities and prices.
    """

    tokens: Mapping[TokenKey, TokenInfo]
    market: Market
    _facts: dict[tuple[int, str], TokenFacts] = field(default_factory=dict, repr=False, compare=False)
    _parts: dict[tuple[int, str], _Parts] = field(default_factory=dict, repr=False, compare=False)

    def facts(self, key: TokenKey) -> TokenFacts:
        """The facts that apply to every holding of a token."""
        facts = self._facts.get(key)
        if facts is None:
            facts = self._facts[key] = token_facts(key, self.tokens.get(key), self.market)
        return facts

    def positions(self, holdings: Iterable[Holding]) -> tuple[Position, ...]:
        """Values one user's holdings: the largest value first, those without one last; ties by wallet, chain, token."""
        positions = [self._position(holding) for holding in holdings]
        positions = self._within_their_market(positions)
        positions = _bounded_together(positions, self.market.limits.unconfirmed_usd)
        positions.sort(key=lambda p: (p.wallet, DISPLAY_ORDER.get(p.chain_id, p.chain_id), p.token))
        positions.sort(key=lambda p: p.value_usd if p.value_usd is not None else _NO_VALUE, reverse=True)
        return tuple(positions)

    def _position(self, holding: Holding) -> Position:
        # A plain pair finds the key of a token, too, and takes half the time to make.
        wallet, chain_id, token, balance, flags_of_balance, stale = holding
        parts = self._parts.get((chain_id, token))
        if parts is None:
            parts = self._parts[chain_id, token] = _parts_of(self.facts(TokenKey(chain_id, token)))
        names, decimals, price_usd, judged, flags, logo, _ = parts
        amount = amount_of(balance, decimals) if decimals is not None else None
        value = value_of(amount, price_usd) if amount is not None and price_usd is not None else None
        if flags_of_balance:
            flags = tuple(sorted({*flags_of_balance, *flags}))
        return _new_position(
            Position,
            (wallet, chain_id, token, *names, decimals, balance, amount, price_usd, value, *judged, flags, logo, stale),
        )

    def _within_their_market(self, positions: Sequence[Position]) -> list[Position]:
        """Flags unlisted tokens if the wallets together hold more than the market could pay."""
        held: defaultdict[tuple[int, str], list[Decimal]] = defaultdict(list)
        parts = self._parts
        for p in positions:
            key = (p.chain_id, p.token)
            if parts[key].bound_usd is not None and p.value_usd is not None:
                held[key].append(p.value_usd)
        beyond = set()
        for key, values in held.items():
            bound_usd = parts[key].bound_usd
            if bound_usd is not None and total_of(values) > bound_usd:
                beyond.add(key)
        if not beyond:
            return list(positions)
        return [_flagged(p, EXCEEDS_LIQUIDITY) if (p.chain_id, p.token) in beyond else p for p in positions]


class _Parts(NamedTuple):
    """What all positions of a token have in common, in the order of ``Position``.

    Attributes:
        names: Symbol and name.
        decimals: As the contract says.
        price_usd: Its price.
        judged: From the price's source to whether it is listed.
        flags: Its flags.
        logo_url: Its logo.
        bound_usd: What the holdings of an unlisted token together can be worth at most, if that is known.
    """

    names: tuple[str | None, str | None]
    decimals: int | None
    price_usd: Decimal | None
    judged: tuple[str | None, datetime | None, Decimal | None, bool, tuple[str, ...], bool]
    flags: tuple[str, ...]
    logo_url: str | None
    bound_usd: Decimal | None


def _parts_of(facts: TokenFacts) -> _Parts:
    info, quote = facts.info, facts.choice.quote
    return _Parts(
        (info.symbol, info.name),
        info.decimals,
        quote.price_usd if quote else None,
        (
            quote.source.value if quote else None,
            (quote.price_at or quote.read_at) if quote else None,
            facts.choice.change_24h,
            bool(facts.spam_reasons),
            facts.spam_reasons,
            facts.is_listed,
        ),
        facts.flags,
        info.logo_url,
        None if facts.is_listed else facts.market_usd,
    )


def _bounded_together(positions: Sequence[Position], limit_usd: Decimal) -> list[Position]:
    """Lets positions with an unconfirmed price count up to a limit together, the smallest first.

    So an airdrop's claimed value can't displace another of its size, and many small ones count no more than one large.
    """
    doubtful = [
        p
        for p in positions
        if UNCONFIRMED_PRICE in p.flags
        and not p.is_spam
        and _HELD_APART.isdisjoint(p.flags)
        and p.value_usd is not None
    ]
    if not doubtful:
        return list(positions)
    counted: set[tuple[str, int, str]] = set()
    total = Decimal(0)
    for p in sorted(doubtful, key=lambda p: (p.value_usd, p.chain_id, p.token, p.wallet)):
        total = total_of((total, p.value_usd or Decimal(0)))
        if total > limit_usd:
            break
        counted.add((p.wallet, p.chain_id, p.token))
    return [
        p._replace(flags=tuple(flag for flag in p.flags if flag != UNCONFIRMED_PRICE))
        if (p.wallet, p.chain_id, p.token) in counted
        else p
        for p in positions
    ]


def _flagged(position: Position, flag: str) -> Position:
    return position._replace(flags=tuple(sorted({*position.flags, flag})))
