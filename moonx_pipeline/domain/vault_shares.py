"""Shares of vaults: what a whole one is redeemable for, and when the vault's word about it is believed.

A share has no market of its own, or a small one; what it can be turned into has. A vault is somebody else's code,
though, and answers whatever its maker likes. So its answer is only a rate, the price is that of a listed token, and

- an answer that moved by more than ``MOST_MOVED`` since the last one turns the share off, until answers have stayed
  within that bound for ``SETTLED_AFTER``;
- a rate beyond ``_PLAUSIBLE`` is none: a share that is worth a million of what it holds is a broken answer.

What the price may do then is in ``market`` and ``pricing``.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Final, NamedTuple

from moonx_pipeline.domain.chains import CHAIN_BY_ID, NATIVE_TOKEN
from moonx_pipeline.domain.money import amount_of
from moonx_pipeline.domain.portfolio import TokenInfo, TokenKey

UNIT_EXPONENT: Final = 24
UNITS_ASKED: Final = 10**UNIT_EXPONENT
"""The smallest units of a share whose worth is asked for: so many that rounding down loses nothing that counts."""

MOST_MOVED: Final = Fraction(5, 100)
"""Interest moves a rate by a tenth of a percent a day; more is a loss, a manipulation, or another contract."""

SETTLED_AFTER: Final = timedelta(hours=24)
"""How long a moved rate must stand before it is believed, and how often the level of comparison is renewed."""

RATE_LIFE: Final = timedelta(hours=24)
"""How long a rate is believed after it was read."""

_REFERENCE_LIFE: Final = timedelta(days=30)
"""An older rate is no reference: in that time interest may exceed the bound."""

_PLAUSIBLE: Final = Decimal(1_000_000)


class ShareKind(enum.Enum):
    """How a vault says what its shares are redeemable for."""

    ERC4626 = "erc4626"  # convertToAssets of its asset
    AAVE = "aave"  # one for one
    LIDO = "lido"  # wstETH, for stETH
    ROCKET_POOL = "rocket_pool"  # rETH, for ETH


WELL_KNOWN: Final[Mapping[TokenKey, tuple[ShareKind, str]]] = {
    TokenKey(1, "0x7f39c581f595b53c5cb19bd0b3f8da6c935e2ca0"): (
        ShareKind.LIDO,
        "0xae7ab96520de3a18e5e111b5eaab095312d7fe84",
    ),
    TokenKey(1, "0xae78736cd615f374d3085123a210448e74fc6393"): (ShareKind.ROCKET_POOL, NATIVE_TOKEN),
}
"""Shares that have functions of their own, with their underlying token; any other one says what it is."""


class ShareAnswer(NamedTuple):
    """What a vault said.

    Attributes:
        kind: How it said so.
        underlying: The token that shares are redeemable for, lower case.
        assets: The smallest units of it for ``UNITS_ASKED`` smallest units of the share.
        held: The smallest units of it that the vault itself holds; ``None`` if that was not read.
    """

    kind: ShareKind
    underlying: str
    assets: int
    held: int | None


class VaultShare(NamedTuple):
    """What is known of a share.

    Attributes:
        kind, underlying, assets, held: Its vault's last answer.
        read_at: When it was read.
        level: The ``assets`` that answers are held against.
        level_at: Since when.
        is_off: Whether answers moved beyond the bound at ``level_at``, and have not stood long enough since.
    """

    kind: ShareKind
    underlying: str
    assets: int
    held: int | None
    read_at: datetime
    level: int
    level_at: datetime
    is_off: bool = False


def taken_in(known: VaultShare | None, said: ShareAnswer, now: datetime) -> VaultShare:
    """What is known of a share after an answer of its vault.

    Args:
        known: What was known before.
        said: The answer.
        now: When it was read.
    """
    if known is None or now - known.read_at > _REFERENCE_LIFE:
        return VaultShare(*said, now, said.assets, now)
    is_same = (known.kind, known.underlying) == (said.kind, said.underlying)
    held = known.held if is_same and said.held is None else said.held
    latest = known._replace(kind=said.kind, underlying=said.underlying, assets=said.assets, held=held, read_at=now)
    if not is_same or _moved(known.level, said.assets):
        return latest._replace(level=said.assets, level_at=now, is_off=True)
    if now - known.level_at >= SETTLED_AFTER:
        return latest._replace(level=said.assets, level_at=now, is_off=False)
    return latest


def _moved(before: int, after: int) -> bool:
    low, high = sorted((before, after))
    return high > low * (1 + MOST_MOVED)


class Redemption(NamedTuple):
    """What a whole share is redeemable for.

    Attributes:
        underlying: The token.
        rate: Whole underlying tokens for a whole share, above zero.
        held: The whole underlying tokens that the vault itself holds; ``None`` if unknown. Most vaults lend them on.
    """

    underlying: TokenKey
    rate: Decimal
    held: Decimal | None


def redemption_of(
    key: TokenKey, share: VaultShare, tokens: Mapping[TokenKey, TokenInfo], now: datetime
) -> Redemption | None:
    """What a share is redeemable for; ``None`` if its vault's word is not believed, or decimals are unknown.

    Args:
        key: The share.
        share: What is known of it.
        tokens: Metadata of it and of its underlying token.
        now: The time.
    """
    underlying = TokenKey(key.chain_id, share.underlying)
    decimals, of_underlying = _decimals(key, tokens), _decimals(underlying, tokens)
    if share.is_off or now - share.read_at > RATE_LIFE or decimals is None or of_underlying is None:
        return None
    rate = amount_of(share.assets, UNIT_EXPONENT - decimals + of_underlying)
    if not 1 / _PLAUSIBLE <= rate <= _PLAUSIBLE:
        return None
    return Redemption(underlying, rate, None if share.held is None else amount_of(share.held, of_underlying))


def _decimals(key: TokenKey, tokens: Mapping[TokenKey, TokenInfo]) -> int | None:
    if key.address == NATIVE_TOKEN:
        return CHAIN_BY_ID[key.chain_id].native.decimals
    info = tokens.get(key)
    return info.decimals if info else None
