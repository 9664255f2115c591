"""What is stored about shares of vaults, one row a contract."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import Connection

from moonx_pipeline.domain.portfolio import TokenKey
from moonx_pipeline.domain.vault_shares import ShareKind, VaultShare
from moonx_pipeline.storage.connection.recordset import recordset
from moonx_pipeline.storage.connection.statements import sql_beside

_READ: Final = sql_beside(__file__, "read_vault_shares")
_WRITE: Final = sql_beside(__file__, "write_vault_shares")


class AskedShare(NamedTuple):
    """A contract that was asked what it is redeemable for.

    Attributes:
        asked_at: When it last answered.
        share: What is known of it; ``None`` if it is no share.
    """

    asked_at: datetime
    share: VaultShare | None


def read_vault_shares(connection: Connection, keys: Collection[TokenKey]) -> dict[TokenKey, AskedShare]:
    """Those of the contracts that were asked, and the shares that they are redeemable for."""
    rows = connection.exec_driver_sql(_READ, ([key.chain_id for key in keys], [key.address for key in keys]))
    found = {}
    for chain_id, address, asked_at, kind, underlying, assets, held, read_at, level, level_at, is_off in rows:
        share = None
        if kind is not None:
            held_units = None if held is None else int(held)
            share = VaultShare(
                ShareKind(kind), underlying, int(assets), held_units, read_at, int(level), level_at, is_off
            )
        found[TokenKey(chain_id, address)] = AskedShare(asked_at, share)
    return found


def write_vault_shares(connection: Connection, *, shares: Mapping[TokenKey, AskedShare]) -> None:
    """Stores answers; of two for a contract, the later one stays.

    Args:
        connection: Any; rows are written in key order, so that two writers can't wait for each other.
        shares: By contract.
    """
    rows = []
    for key, (asked_at, share) in shares.items():
        row = {"chain_id": key.chain_id, "token_address": key.address, "asked_at": asked_at, "is_off": False}
        if share is not None:
            # As text: a number in JSON is an integer of 64 bits here.
            amounts = {name: getattr(share, name) for name in ("assets", "held", "level")}
            row |= share._asdict() | {"kind": share.kind.value}
            row |= {name: None if amount is None else str(amount) for name, amount in amounts.items()}
        rows.append(row)
    connection.exec_driver_sql(_WRITE, (recordset(rows),))
