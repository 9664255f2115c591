"""What the errors of providers mean, and their consequences: one table in three parts.

``RULES`` gives the kind of error of a whole response. A refusal's text takes precedence over its status and code:
providers sit behind firewalls and caches that answer in HTML, and the same refusal comes with different statuses
(Alchemy's used-up plan is a 403 or a 429). ``SIGNS`` gives the meaning of the refusal of a single JSON-RPC call; there
is no common list of codes. ``EFFECTS`` gives the consequences of each kind: whether the call is repeated, whether it
blocks the rate limiter, how it counts for the circuit breaker, whether it is paid for. The first two are read from top
to bottom.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Final, NamedTuple

from moonx_pipeline.providers.errors import (
    BadRequest,
    Banned,
    BatchTooLarge,
    CallTimeout,
    DeadlineOver,
    KeyRejected,
    Malformed,
    NetworkNotEnabled,
    Oversized,
    PartsRefused,
    ProviderError,
    QuotaExhausted,
    RateLimited,
    Restricted,
    Unavailable,
)


class Rule(NamedTuple):
    """A row of the table: it matches if each of its columns that is not ``None`` does.

    Attributes:
        error: What the refusal means.
        statuses: HTTP statuses, as a range.
        provider: Only of this provider.
        text: A pattern in the body.
        meaning: Shown to users; what to do, if anything.
    """

    error: type[ProviderError]
    statuses: range | None = None
    provider: str | None = None
    text: str | None = None
    meaning: str = ""


def _status(first: int, last: int | None = None) -> range:
    return range(first, (last or first) + 1)


RULES: Final = (
    # The text takes precedence over the status.
    Rule(
        QuotaExhausted,
        text="monthly (capacity|credit|call)",
        meaning="the plan's monthly capacity is used up (raise it at the provider)",
    ),
    Rule(BatchTooLarge, provider="coingecko", text="exceeds the allowed limit", meaning="too many contracts in a call"),
    Rule(BatchTooLarge, _status(414), meaning="the address of the call is too long"),
    Rule(Restricted, _status(451), meaning="it does not serve this location"),
    Rule(Banned, _status(418), meaning="it banned this machine's address for ignoring its limit"),
    Rule(RateLimited, _status(429), meaning="its rate limit is reached"),
    Rule(RateLimited, text="error code: 1015", meaning="its rate limit is reached"),
    Rule(
        NetworkNotEnabled,
        _status(400, 499),
        "alchemy",
        "not enabled for this app",
        meaning="the key's app does not have that network (enable it at the provider)",
    ),
    # Whatever proxy is before a hosted node may refuse its key, in HTML or JSON.
    Rule(KeyRejected, _status(403), "rpc", meaning="the key is not allowed to ask this (check it at the provider)"),
    # A firewall refuses in HTML; a provider that refuses a key says so in JSON.
    Rule(Restricted, _status(403), text=r"^\s*<", meaning="its firewall refused this machine"),
    Rule(Restricted, _status(403), "binance", meaning="its firewall refused this machine"),
    Rule(Restricted, _status(403), text="error code: 1020", meaning="its firewall refused this machine"),
    Rule(
        KeyRejected,
        provider="coingecko",
        text=r'"error_code"\s*:\s*1001[01]\b|root URL',
        meaning="the key is for its other host",
    ),
    Rule(KeyRejected, _status(401), meaning="the key is missing or wrong (check its setting)"),
    Rule(KeyRejected, _status(403), meaning="the key is not allowed to ask this (check it at the provider)"),
    Rule(Unavailable, _status(408), meaning="it gave up waiting"),
    Rule(Unavailable, _status(500, 599), meaning="it has a fault of its own"),
    Rule(Malformed, _status(300, 399), meaning="it points to another address"),
    Rule(BadRequest, _status(400, 499), meaning="it does not take what was asked"),
    Rule(Malformed, _status(100, 199), meaning="it announced an answer and sent none"),
    Rule(Malformed, meaning="HTTP has no such status"),  # everything else
)


def rule_of(provider: str, status: int, text: str) -> Rule:
    """The meaning of a whole response that is no success."""
    return next(rule for rule in RULES if _fits(rule, provider, status, text))


def _fits(rule: Rule, provider: str, status: int, text: str) -> bool:
    return (
        (rule.provider is None or rule.provider == provider)
        and (rule.statuses is None or status in rule.statuses)
        and (rule.text is None or re.search(rule.text, text, re.IGNORECASE) is not None)
    )


class Meaning(enum.Enum):
    """What the refusal of one call means."""

    REVERT = "revert"  # the contract itself refused: its text is the contract's own and proves nothing about the node
    NOTHING = "nothing"  # neither a result in hex nor an error
    QUOTA = "quota"  # the plan's capacity is used up
    BLOCK = "block"  # the node does not have the requested block
    RATE = "rate"  # it wants later calls, or fewer at once
    BATCH = "batch"  # a smaller batch may be answered
    RANGE = "range"  # logs of fewer blocks may be answered
    KEY = "key"  # the key is not allowed to ask this
    MISUSE = "misuse"  # it does not accept such a call at all
    FAULT = "fault"  # it failed: timeouts, gas, internal errors


class Sign(NamedTuple):
    """A row of the table: it matches if the code is one of its codes, or its words are in the text.

    Attributes:
        meaning: What the refusal means.
        error: The error if nothing can be done without the call's result.
        codes: Of JSON-RPC.
        words: A pattern in the message.
    """

    meaning: Meaning
    error: type[ProviderError] = Unavailable
    codes: frozenset[int] = frozenset()
    words: str | None = None


# Codes and words are those of Geth, Nethermind, Erigon, Besu, Reth, Nitro, OpenEthereum, Anvil and Hardhat, of proxies
# before them (proxyd), and of hosted nodes.
SIGNS: Final = (
    Sign(
        Meaning.REVERT,
        Unavailable,
        frozenset({3, -32015}),
        # Only at the start: the rest is the contract's own text.
        r"^\W*(\w+\W+){0,2}revert|^(error: )?vm (execution|exception)|^(evm error:? ?)?(invalid|bad) ?(fe)?(opcode|jump"
        r"|instruction)|^(evm error:? ?)?(opcode ?not ?found|stack ?(under|over)flow)",
    ),
    Sign(Meaning.NOTHING, Malformed, words=r"^neither a result nor an error$"),
    Sign(Meaning.QUOTA, QuotaExhausted, words=r"monthly (capacity|credit|call)"),
    Sign(
        Meaning.BLOCK,
        words=r"header (for .{1,80})?not found|unknown block|block .{0,80}not (found|processed|available)"
        r"|block.?out.?of.?range|beyond .{0,10}head|block number .{0,40}(higher|future)"
        r"|missing trie node|historical state|state .{0,80}(pruned|not available|unavailable)",
    ),
    # Before rates: one node's code for too many logs, -32005, is another's for too many requests.
    Sign(
        Meaning.RANGE,
        words=r"block.?range|range (is )?too (large|wide|big)|(too wide|maximum|exceeds?|limited to) .{0,40}blocks"
        r"|(log|query).{0,20}(response|result).{0,20}(size|exceed|limit)|too many (logs|results)"
        r"|(more than |exceeds? (max )?|limit(ed)? (of|to) )[\d,.]*k? ?(results|logs)|up to a .{0,20}block range",
    ),
    Sign(
        Meaning.RATE,
        RateLimited,
        frozenset({429, 15, -32005, -32007, -32016, -32029, -32046, -32090}),
        r"rate.?limit|too many (requests|calls)|throttl|capacity|requests? (per|/) ?(second|minute|hour|day)|slow down",
    ),
    # Not by a code: Geth's code for too large a response, -32003, is Reth's for a call without enough gas.
    Sign(Meaning.BATCH, words=r"batch|response (size )?(is )?too large|response size .{0,20}(exceed|limit)"),
    Sign(
        Meaning.KEY,
        KeyRejected,
        # Not just any key: pages have keys, too.
        words=r"must be authenticated|unauthori[sz]ed|not enabled for this app"
        r"|(invalid|missing|unknown|disabled) (api|access|project|app|auth)[ _-]?(key|id|token)"
        r"|api.?key .{0,40}(not allowed|disabled|invalid|expired)",
    ),
    Sign(Meaning.MISUSE, BadRequest, frozenset({-32700, -32600, -32601, -32602})),
)
_FAULT: Final = Sign(Meaning.FAULT)  # everything else


def sign_of(code: int | str, message: str) -> Sign:
    """The meaning of the refusal of a single JSON-RPC call; anything unknown is a fault of the node."""
    for sign in SIGNS:
        if code in sign.codes or (sign.words and re.search(sign.words, message, re.IGNORECASE)):
            return sign
    return _FAULT


class Effect(NamedTuple):
    """The consequences of an error.

    Attributes:
        repeat: Whether the same call may succeed within seconds, so that the fetch asks again.
        block: Whether the limiter blocks all calls to the provider until the time it gives.
        breaker: What it counts as: ``failure``, so that several in a row open the breaker; a cause that
            opens it at once; ``none``, which says nothing about the provider's health.
        open_for: How long it opens the breaker; ``None`` is the setting's time.
        of_account: Whether it concerns the key or plan, so that every chain and API with this key has it.
        is_billed: Whether the provider charges for the call. Alchemy bills nothing for a refusal, and nothing can be
            billed that did not arrive.
    """

    repeat: bool = False
    block: bool = False
    breaker: str = "none"
    open_for: timedelta | None = None
    of_account: bool = False
    is_billed: bool = True


EFFECTS: Final[Mapping[type[ProviderError], Effect]] = {
    Unavailable: Effect(repeat=True, breaker="failure"),
    # It has taken the time of many tries, and there are fallbacks and other sources.
    CallTimeout: Effect(breaker="failure", is_billed=False),
    Malformed: Effect(repeat=True, breaker="failure"),
    RateLimited: Effect(repeat=True, block=True, is_billed=False),
    Banned: Effect(block=True, is_billed=False),
    # None of these ends by itself within minutes; each needs an operator.
    QuotaExhausted: Effect(breaker="quota_exhausted", open_for=timedelta(hours=1), of_account=True, is_billed=False),
    KeyRejected: Effect(breaker="key_rejected", open_for=timedelta(minutes=10), of_account=True, is_billed=False),
    Restricted: Effect(breaker="restricted", open_for=timedelta(hours=1)),
    # Our question was wrong, or our time was over: the provider is healthy.
    BadRequest: Effect(),
    BatchTooLarge: Effect(),
    # What a wallet holds says nothing about the provider's health, so no other user may suffer from it.
    Oversized: Effect(),
    PartsRefused: Effect(),
    DeadlineOver: Effect(is_billed=False),
    ProviderError: Effect(),
}


def effect_of(error: ProviderError) -> Effect:
    """The consequences of an error, by its class or the nearest base class in the table."""
    return next(EFFECTS[kind] for kind in type(error).__mro__ if kind in EFFECTS)
