"""A page of Alchemy's token data API, decoded so that a malformed row affects only itself."""

from __future__ import annotations

from typing import Any, Final, Generic, TypeVar

import msgspec

from moonx_pipeline.providers.alchemy_values import NOTHING, read_text
from moonx_pipeline.providers.bodies import by_row, leniently

Row = TypeVar("Row")


class TokenRow(msgspec.Struct, rename="camel"):
    """One token of one wallet on one network; a malformed name or price does not cost its balance."""

    network: str
    address: str
    # Null is the native coin. Without the field, the row's token is unknown.
    token_address: str | None
    token_balance: str | None = None
    token_metadata: msgspec.Raw = NOTHING
    token_prices: msgspec.Raw = NOTHING
    error: str | dict[str, Any] | None = None


class _OddRow(msgspec.Struct, rename="camel"):
    network: str
    address: str
    token_address: str | None
    token_balance: msgspec.Raw = NOTHING
    token_metadata: msgspec.Raw = NOTHING
    token_prices: msgspec.Raw = NOTHING
    error: msgspec.Raw = NOTHING


_odd_row: Final = msgspec.json.Decoder(_OddRow)
_anything: Final[msgspec.json.Decoder[Any]] = msgspec.json.Decoder()


class _Rows:
    """Rows of a page that does not decode as a whole: a row only needs a known token."""

    def decode(self, raw: msgspec.Raw) -> TokenRow:
        row = _odd_row.decode(raw)
        error = leniently(_anything, row.error)
        return TokenRow(
            row.network,
            row.address,
            row.token_address,
            read_text(row.token_balance),
            row.token_metadata,
            row.token_prices,
            error if error is None or isinstance(error, str | dict) else str(error),
        )


class _Data(msgspec.Struct, Generic[Row], rename="camel"):
    tokens: list[Row]
    page_key: str | None = None


class Page(msgspec.Struct, Generic[Row], rename="camel"):
    """One answer: rows of tokens, the key of the next page, and what could not be read."""

    data: _Data[Row]
    error: msgspec.Raw = NOTHING
    block_metadata: msgspec.Raw = NOTHING


decode_page: Final = by_row(
    msgspec.json.Decoder(Page[TokenRow]),
    msgspec.json.Decoder(Page[msgspec.Raw]),
    _Rows(),
    no_number="false",  # null is the native coin
)


class _PartialError(msgspec.Struct, rename="camel"):
    network: Any = None
    reason: Any = None
    message: Any = None


class _Errors(msgspec.Struct, rename="camel"):
    message: Any = None
    partial_errors: list[msgspec.Raw] = []


_errors: Final = msgspec.json.Decoder(_Errors)
_partial_error: Final = msgspec.json.Decoder(_PartialError)


def failed_networks(raw: msgspec.Raw) -> dict[str, str]:
    """Networks that Alchemy could not read, each with the reason; the name ``""`` stands for any network asked.

    An error that names no network may apply to each of them.
    """
    if leniently(_anything, raw) is None:
        return {}
    errors = leniently(_errors, raw) or _Errors(message=leniently(_anything, raw))
    failed: dict[str, str] = {}
    for item in errors.partial_errors:
        problem = leniently(_partial_error, item) or _PartialError()
        network = problem.network if isinstance(problem.network, str) else ""
        failed.setdefault(network, _words(problem.reason or problem.message or errors.message))
    return failed or {"": _words(errors.message)}


def _words(said: Any) -> str:
    return said if isinstance(said, str) and said else "it did not answer"


class _Block(msgspec.Struct, rename="camel"):
    block_number: str


_blocks: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_block: Final = msgspec.json.Decoder(_Block)


def blocks_of(raw: msgspec.Raw) -> dict[str, int]:
    """The block at which each network was read, if Alchemy gives it."""
    found = {}
    for network, metadata in (leniently(_blocks, raw) or {}).items():
        block = leniently(_block, metadata)
        try:
            found[network] = int(block.block_number, 16) if block else -1
        except ValueError:
            continue
    return {network: block for network, block in found.items() if 0 <= block < 2**63}
