"""The inputs of a portfolio as one digest: equal inputs give an equal portfolio, so it need not be valued again.

A valuation is a function of what is held, of the facts of those tokens, and of the rules. Whatever depends on time (a
quote that grows old, a depth that is no longer believed, a token that is judged anew) is in the facts, which are worked
out once for all users of a batch; so nothing has to be predicted here.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import Final

from moonx_pipeline.domain import flags, holdings, money, portfolio, valuation
from moonx_pipeline.domain.holdings import Holding, Pair
from moonx_pipeline.domain.portfolio import ChainBalances, TokenKey
from moonx_pipeline.domain.valuation import TokenFacts, Valuer

_BYTES: Final = 16
_RULES: Final[tuple[ModuleType, ...]] = (flags, holdings, money, portfolio, valuation)


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_BYTES).digest()


CODE: Final = _digest("".join(map(inspect.getsource, _RULES))).hex()
"""A digest of the code that turns these inputs into a portfolio: new code values everything once more."""


class InputsDigest:
    """Digests of the inputs of users whose tokens have the same facts. Not for several threads."""

    def __init__(self, valuer: Valuer) -> None:
        """Takes the valuer that would value them."""
        self._valuer = valuer
        self._facts: dict[tuple[int, str], str] = {}
        self._rules = f"{CODE} {valuer.market.limits.unconfirmed_usd}"

    def of(self, held: Iterable[Holding], readings: Iterable[ChainBalances], unread: Mapping[Pair, int]) -> bytes:
        """The digest of one user's inputs, in any order.

        Args:
            held: What the user holds.
            readings: One for each wallet and chain.
            unread: The number of tokens by wallet and chain whose balance could not be read and was never known.
        """
        lines = []
        for wallet, chain_id, token, balance, of_balance, stale in held:
            facts = self._facts.get((chain_id, token)) or self._add(chain_id, token)
            line = f"{wallet} {chain_id} {token} {balance} {facts}"
            lines.append(f"{line} {of_balance} {stale}" if of_balance or stale else line)
        lines += [f"{r.wallet} {r.chain_id} {r.is_current} {unread.get((r.wallet, r.chain_id), 0)}" for r in readings]
        lines.sort()
        lines.append(self._rules)
        return _digest("\n".join(lines))

    def _add(self, chain_id: int, token: str) -> str:
        facts = self._facts[chain_id, token] = _digest(_seen(self._valuer.facts(TokenKey(chain_id, token)))).hex()
        return facts


def _seen(facts: TokenFacts) -> str:
    """What a valuation uses of a token's facts, except times."""
    quote, info = facts.choice.quote, facts.info
    return repr(
        (
            (info.symbol, info.name, info.decimals, info.logo_url),
            facts.is_listed,
            facts.spam_reasons,
            facts.flags,
            None if quote is None else (quote.price_usd, quote.source.value),
            facts.choice.change_24h,
            facts.market_usd,
        )
    )
