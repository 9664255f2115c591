"""The errors of a provider, as types that a caller can tell apart.

Their meanings and consequences are in ``error_table``. No message ever holds a
URL: the key is a part of it.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import ClassVar, Final

from moonx_pipeline.domain.show import visible

_NOT_STORED: Final = re.compile("[\0\ud800-\udfff]")


def storable(text: str) -> str:
    """A text without what no database stores: NUL, and halves of surrogate pairs."""
    return _NOT_STORED.sub("", text)


class ProviderError(Exception):
    """A call to a provider did not give what was asked for.

    Attributes:
        kind: What went wrong, for programs; each class has its own.
        provider: Its name, such as ``alchemy``.
        chain_id: The chain asked about; ``None`` if the call is about several or none.
        status: HTTP status; ``None`` if no response arrived.
        code: The provider's own error code, if it sent one.
        retry_at: When the provider may be asked again, if known.
    """

    kind: ClassVar[str] = "other"

    def __init__(
        self,
        message: str,
        *,
        provider: str,
        chain_id: int | None = None,
        status: int | None = None,
        code: int | str | None = None,
        retry_at: datetime | None = None,
    ) -> None:
        # It may quote a provider or a contract, and is stored, logged and shown.
        super().__init__(visible(message))
        self.provider = provider
        self.chain_id = chain_id
        self.status = status
        self.code = code
        self.retry_at = retry_at


class Unavailable(ProviderError):
    """The provider is down, overloaded or unreachable: 5xx, a reset connection, a refused one."""

    kind = "unavailable"


class CallTimeout(Unavailable):
    """No complete answer within the call's time."""

    kind = "timeout"


class DeadlineOver(ProviderError):
    """The sync's time was over before the call, or left too little for an answer: nobody's fault."""

    kind = "deadline_over"


class Malformed(ProviderError):
    """An answer that is not what the provider documents; the message names what was wrong."""

    kind = "malformed"


class Oversized(ProviderError):
    """More pages or bytes than are read, or a list without end: the question is too large, the provider is healthy."""

    kind = "oversized"


class PartsRefused(ProviderError):
    """The provider answered, but refused so many single calls that the whole is unread: due to the question, too."""

    kind = "parts_refused"


class RateLimited(ProviderError):
    """429, or the limit that all workers share: wait until ``retry_at``."""

    kind = "rate_limited"


class Banned(RateLimited):
    """418: the machine's address is banned until ``retry_at``; asking again prolongs it."""

    kind = "banned"


class QuotaExhausted(ProviderError):
    """The plan's monthly capacity is used up; it does not come back within minutes."""

    kind = "quota_exhausted"


class KeyRejected(ProviderError):
    """The key is missing, wrong, inactive, or not allowed for this network or origin."""

    kind = "key_rejected"


class NetworkNotEnabled(KeyRejected):
    """The key is good; one network is not enabled for it, and a call that names that network is refused as a whole."""


class Restricted(ProviderError):
    """The provider refuses this machine: a firewall rule or a geographic block."""

    kind = "restricted"


class BadRequest(ProviderError):
    """The provider refused our request (400, 404, 422): our fault, not worth a repeat."""

    kind = "bad_request"


class BatchTooLarge(BadRequest):
    """More items than the plan allows in a call.

    Attributes:
        limit: How many are allowed, if the provider says.
    """

    kind = "batch_too_large"

    def __init__(self, message: str, *, limit: int | None, provider: str, status: int | None = None) -> None:
        super().__init__(message, provider=provider, status=status)
        self.limit = limit
