"""The parts of a portfolio: balances as read, positions as valued, and the outcome of each chain.

Rows are named tuples, since a sweep handles millions of them.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from moonx_pipeline.domain.flags import not_counted_reason

MAX_BALANCE = 2**256 - 1
"""The largest balance an ERC-20 contract can hold, in its smallest unit."""


class TokenKey(NamedTuple):
    """A token of one chain. ``address`` is lower case; the native coin's is ``NATIVE_TOKEN``."""

    chain_id: int
    address: str


class TokenInfo(NamedTuple):
    """Metadata of a token from its contract or a provider. ``None`` is unknown, never a default."""

    symbol: str | None
    name: str | None
    decimals: int | None
    logo_url: str | None = None


UNKNOWN_TOKEN = TokenInfo(None, None, None, None)


class ChainOutcome(enum.Enum):
    """How the reading of one wallet on one chain ended."""

    OK = "ok"  # balances are what the chain says now
    PARTIAL = "partial"  # balances are current, but the list continues: the rest of what is stored stays, marked stale
    FAILED = "failed"  # no source answered; what is stored stays, marked stale
    SKIPPED = "skipped"  # not asked on purpose: its breaker is open, or it has no source
    KEPT = "kept"  # not asked, since nothing moved: what is stored is what is held


class Way(enum.Enum):
    """How balances were read."""

    DATA_API = "data_api"  # a list of several wallets and networks a call
    JSON_RPC = "json_rpc"  # a list page by page, of one wallet
    NODE = "node"  # token by token, of one wallet
    BULK = "bulk"  # known and received tokens of many wallets a call


class Coverage(enum.Enum):
    """What an answered reading covers."""

    ALL_TOKENS = "all_tokens"  # every token that the wallet ever held
    KNOWN_TOKENS = "known_tokens"  # only the tokens asked for: new ones are not seen


@dataclass(frozen=True, slots=True)
class ChainBalances:
    """The reading of one wallet on one chain.

    Attributes:
        wallet: Lower-case address.
        chain_id: EIP-155 chain id.
        outcome: Whether ``balances`` can be trusted.
        balances: Raw balance in the smallest unit by lower-case token address; the native coin under
            ``NATIVE_TOKEN``. Tokens with a balance of zero may be left out if coverage is
            ``ALL_TOKENS``; all tokens asked for are present if it is ``KNOWN_TOKENS``.
        unknown: Tokens whose balance could not be read. Their last known balance stays; without one they count
            as unread.
        without_balance: Tokens whose contract answered without a balance (it reverts, or there is no code), while no
            other source had one. Their last known balance stays; without one there is nothing to read.
        tokens: Metadata that came with the balances.
        coverage: What the source covers.
        source: The provider that answered, such as ``alchemy`` or ``rpc``.
        way: How it was read.
        reason: Why it failed or was skipped, or what the coverage leaves out; one sentence for users.
        error_code: Why it failed or was skipped, for programs: the kind of the provider's error, or ``no_source``.
        retry_at: When a failed or skipped chain may be asked again, if known.
        block: The block at which the balances were read; ``None`` if the source does not say.
        known_block: What was received up to this block is in it; ``None`` if that is not known.
        resume_key: Where the next reading continues, if this one is ``PARTIAL``.
        resumed_since: When the reading of its list began, if this one continued an earlier sync's: tokens that it did
            not reach itself stay as stored.
    """

    wallet: str
    chain_id: int
    outcome: ChainOutcome
    balances: dict[str, int] = field(default_factory=dict)
    unknown: frozenset[str] = frozenset()
    tokens: dict[str, TokenInfo] = field(default_factory=dict)
    coverage: Coverage = Coverage.ALL_TOKENS
    source: str | None = None
    reason: str | None = None
    retry_at: datetime | None = None
    without_balance: frozenset[str] = frozenset()
    block: int | None = None
    resume_key: str | None = None
    resumed_since: datetime | None = None
    error_code: str | None = None
    way: Way | None = None
    known_block: int | None = None

    @property
    def is_current(self) -> bool:
        """Whether what it read, or kept, is all that is held now."""
        return self.outcome is ChainOutcome.OK or self.outcome is ChainOutcome.KEPT

    @property
    def is_resumed(self) -> bool:
        """Whether an earlier sync read the beginning of its list."""
        return self.resumed_since is not None

    @property
    def is_read(self) -> bool:
        """Whether it has current balances, of all tokens or some."""
        return self.outcome is ChainOutcome.OK or self.outcome is ChainOutcome.PARTIAL


class Position(NamedTuple):
    """One token of one wallet, valued.

    ``amount`` is ``None`` if the decimals are unknown, ``value_usd`` if amount or price are.
    ``stale`` positions are the last known ones of a chain that did not answer.
    """

    wallet: str
    chain_id: int
    token: str
    symbol: str | None
    name: str | None
    decimals: int | None
    balance: int
    amount: Decimal | None
    price_usd: Decimal | None
    value_usd: Decimal | None
    price_source: str | None
    price_at: datetime | None
    change_24h: Decimal | None
    is_spam: bool
    spam_reasons: tuple[str, ...]
    is_verified: bool
    flags: tuple[str, ...]
    logo_url: str | None
    stale: bool

    @property
    def key(self) -> TokenKey:
        return TokenKey(self.chain_id, self.token)

    @property
    def not_counted_reason(self) -> str | None:
        """Why it is not in the total, as a code; ``None`` if it is counted."""
        return not_counted_reason(is_spam=self.is_spam, value_usd=self.value_usd, flags=self.flags)
