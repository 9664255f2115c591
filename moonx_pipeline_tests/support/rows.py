"""Rows to store, the smallest that are real."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Engine

from moonx_pipeline.domain.money import amount_of, value_of
from moonx_pipeline.domain.portfolio import Position
from moonx_pipeline.storage.portfolios.users import add_wallets
from moonx_pipeline.storage.syncs.opening import NewOperation, lock_requested, open_operations

WALLET = "0x" + "ab" * 20
OTHER_WALLET = "0x" + "cd" * 20
NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def token(number: int) -> str:
    return f"0x{number:040x}"


def position(
    number: int = 1,
    *,
    wallet: str = WALLET,
    chain_id: int = 1,
    balance: int = 2_500_000,
    decimals: int | None = 6,
    price: str | None = "1.5",
    spam: tuple[str, ...] = (),
    symbol: str | None = "TKN",
    stale: bool = False,
) -> Position:
    amount = None if decimals is None else amount_of(balance, decimals)
    price_usd = None if price is None else Decimal(price)
    return Position(
        wallet=wallet,
        chain_id=chain_id,
        token=token(number),
        symbol=symbol,
        name="Token",
        decimals=decimals,
        balance=balance,
        amount=amount,
        price_usd=price_usd,
        value_usd=None if amount is None or price_usd is None else value_of(amount, price_usd),
        price_source=None if price is None else "binance",
        price_at=None if price is None else NOON,
        change_24h=None,
        is_spam=bool(spam),
        spam_reasons=spam,
        is_verified=False,
        flags=(),
        logo_url=None,
        stale=stale,
    )


def register(engine: Engine, user_id: str, *wallets: str) -> None:
    with engine.begin() as connection:
        add_wallets(connection, user_id, wallets or (WALLET,))


def begin(engine: Engine, user_id: str) -> tuple[UUID, int]:
    """Opens an operation of a user; returns its id and its fencing token."""
    new = new_operation(user_id)
    with engine.begin() as connection:
        lock_requested(connection, user_id, new.operation_id)
        opened = open_operations(connection, [new], NOON)
    return new.operation_id, opened[new.operation_id].fence


def new_operation(user_id: str, **given: Any) -> NewOperation:
    """A sync that is to open."""
    new = NewOperation(uuid4(), user_id, "portfolio", "medium", "manual", None, "test", None, 0, NOON, False)
    return new._replace(**given)
