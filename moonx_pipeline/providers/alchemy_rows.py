"""Alchemy's JSON-RPC answers, decoded so that a malformed row affects only itself."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, Generic, TypeVar

import msgspec

from moonx_pipeline.domain.chains import NATIVE_TOKEN, is_native_mirror
from moonx_pipeline.providers.alchemy_values import NOTHING, contract_of, parse_balance, read_text
from moonx_pipeline.providers.bodies import by_row, leniently
from moonx_pipeline.providers.node_answers import is_revert

Row = TypeVar("Row")


class RpcAnswer(msgspec.Struct):
    error: Any = None


class TokenBalance(msgspec.Struct, rename="camel"):
    contract_address: str
    token_balance: str | None = None
    error: str | dict[str, Any] | None = None


class _OddBalance(msgspec.Struct, rename="camel"):
    contract_address: str
    token_balance: msgspec.Raw = NOTHING
    error: msgspec.Raw = NOTHING


class TokenPage(msgspec.Struct, Generic[Row], rename="camel"):
    token_balances: list[Row]
    page_key: str | None = None


class BalancesAnswer(RpcAnswer, Generic[Row]):
    result: TokenPage[Row] | None = None


class QuantityAnswer(RpcAnswer):
    result: str | None = None


class MetadataAnswer(RpcAnswer):
    id: Any = None
    result: msgspec.Raw = NOTHING


_odd_balance: Final = msgspec.json.Decoder(_OddBalance)
_anything: Final[msgspec.json.Decoder[Any]] = msgspec.json.Decoder()


class _OddRows:
    """Rows of a page that does not decode as a whole: a row only needs a known token."""

    def decode(self, raw: msgspec.Raw) -> TokenBalance:
        row = _odd_balance.decode(raw)
        error = leniently(_anything, row.error)
        return TokenBalance(row.contract_address, read_text(row.token_balance), None if error is None else str(error))


decode_balances = by_row(
    msgspec.json.Decoder(BalancesAnswer[TokenBalance]), msgspec.json.Decoder(BalancesAnswer[msgspec.Raw]), _OddRows()
)
decode_quantity = msgspec.json.Decoder(QuantityAnswer).decode
metadata_answer = msgspec.json.Decoder(MetadataAnswer)
decode_metadata = by_row(
    msgspec.json.Decoder(list[MetadataAnswer]), msgspec.json.Decoder(list[msgspec.Raw]), metadata_answer
)


class SortedRows:
    """Rows of one wallet, sorted by what they say."""

    def __init__(self, chain_id: int) -> None:
        self._chain_id = chain_id
        self.balances: dict[str, int] = {}
        self._unknown: set[str] = set()
        self._reverted: set[str] = set()

    def take(self, rows: Iterable[TokenBalance]) -> None:
        for row in rows:
            token = contract_of(row.contract_address)
            if token is None or token == NATIVE_TOKEN or is_native_mirror(self._chain_id, token):
                continue
            balance = None if row.error else parse_balance(row.token_balance)
            if balance is not None:
                self.balances[token] = balance
            elif is_revert(row.error):
                self._reverted.add(token)
            else:
                self._unknown.add(token)

    @property
    def without_balance(self) -> frozenset[str]:
        return frozenset(self._reverted.difference(self.balances))

    @property
    def unknown(self) -> frozenset[str]:
        return frozenset(self._unknown.difference(self.balances, self._reverted))
