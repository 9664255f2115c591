"""Sources of prices by contract, all asked in the same way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from moonx_pipeline.domain.portfolio import TokenKey
from moonx_pipeline.domain.quotes import PriceSource, Quote
from moonx_pipeline.providers.scope import CallScope


class PricesByContract(Protocol):
    """A source that prices tokens by their contracts.

    Attributes:
        source: As its quotes name it.
        breaker: The key of its circuit breaker.
        tokens_a_call: The most tokens that ``prices`` is given at once.
        most_a_sync: The most tokens that one sync asks it about; the next one goes on.
    """

    @property
    def source(self) -> PriceSource: ...

    @property
    def breaker(self) -> str: ...

    @property
    def tokens_a_call(self) -> int: ...

    @property
    def most_a_sync(self) -> int: ...

    def serves(self, chain_id: int) -> bool:
        """Whether it may be asked about tokens of a chain."""
        ...

    def prices(self, keys: Sequence[TokenKey], scope: CallScope) -> dict[TokenKey, Quote]:
        """Prices of tokens; those without one are left out. A native coin is asked for by its wrapped form.

        Raises:
            ProviderError: It did not answer.
        """
        ...
