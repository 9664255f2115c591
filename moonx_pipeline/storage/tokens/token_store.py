"""What is stored about tokens beyond any one user: their metadata, their listings, and the evidence of their prices."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection

from moonx_pipeline.domain.evidence import Accepted, DepthState, Evidence, PoolDepth
from moonx_pipeline.domain.identity import Listing
from moonx_pipeline.domain.market import Known
from moonx_pipeline.domain.portfolio import TokenInfo, TokenKey
from moonx_pipeline.domain.quotes import PriceSource, Quote
from moonx_pipeline.storage.connection.recordset import recordset
from moonx_pipeline.storage.connection.statements import sql_beside


class Incomplete(NamedTuple):
    """Metadata that lacks the decimals, or both symbol and name.

    Attributes:
        read_at: When it was last asked for.
        tries: Answers in a row that lacked something.
    """

    read_at: datetime
    tries: int


class TokenStore(NamedTuple):
    """What is stored about tokens.

    Attributes:
        tokens: Metadata.
        incomplete: Tokens whose metadata lacks something.
        aged: Tokens whose metadata is complete and was read more than 30 days ago.
        known: Listings and evidence; an entry for each token that was asked for.
    """

    tokens: dict[TokenKey, TokenInfo]
    incomplete: dict[TokenKey, Incomplete]
    aged: set[TokenKey]
    known: dict[TokenKey, Known]


class FetchedMetadata(NamedTuple):
    """Metadata with its source, and how many answers in a row lacked something."""

    info: TokenInfo
    source: str
    tries: int = 0


_ACCEPTED: Final = "accepted"
_SOURCES: Final = {source.value: source for source in PriceSource}
_DEPTHS: Final = {state.value: state for state in DepthState}

_READ: Final = sql_beside(__file__, "read_tokens")

# The later value of each datum stays: two processes that learn about a token at once can't undo each other's values.
_WRITE: Final = sql_beside(__file__, "write_tokens")


class _Facts:
    """The evidence of one token, collected row by row."""

    def __init__(self, listing: Listing | None) -> None:
        self.listing = listing
        self.quotes: dict[PriceSource, Quote] = {}
        self.answered: dict[PriceSource, datetime] = {}
        self.depth: PoolDepth | None = None
        self.accepted: Accepted | None = None

    def take(self, source: str, answered_at: datetime, quote: Sequence[Any], depth: Sequence[Any]) -> None:
        price_usd, price_at, read_at, change_24h, at_par = quote
        if source == _ACCEPTED:
            self.accepted = Accepted(price_usd, read_at)
            return
        of = _SOURCES[source]
        self.answered[of] = answered_at
        if price_usd is not None:
            self.quotes[of] = Quote(of, price_usd, price_at, read_at, change_24h, at_par)
        state, usd, at = depth
        if state is not None:
            self.depth = PoolDepth(_DEPTHS[state], usd, at)

    @property
    def known(self) -> Known:
        if not self.answered and self.accepted is None:
            return Known(self.listing)
        return Known(self.listing, Evidence(self.quotes, self.answered, self.depth, self.accepted))


def read_tokens(connection: Connection, keys: Collection[TokenKey]) -> TokenStore:
    """Reads what is stored about tokens, in one round trip."""
    rows = connection.exec_driver_sql(_READ, ([key.chain_id for key in keys], [key.address for key in keys]))
    tokens: dict[TokenKey, TokenInfo] = {}
    incomplete: dict[TokenKey, Incomplete] = {}
    aged: set[TokenKey] = set()
    facts: dict[TokenKey, _Facts] = {}
    for row in rows.all():
        chain_id, address, *of_token, source, answered_at, price_usd, price_at, read_at, change, at_par, _, _, _ = row
        mine = facts.get((chain_id, address))  # type: ignore[call-overload]  # equal to the key, and faster
        if mine is None:
            key = TokenKey(chain_id, address)
            has_info, *info, asked_at, tries, is_aged, has_listing, symbol, name, logo_url, coin, lists = of_token
            if has_info:
                tokens[key] = TokenInfo(*info)
                if is_incomplete(tokens[key]):
                    incomplete[key] = Incomplete(asked_at, tries)
                elif is_aged:
                    aged.add(key)
            listing = Listing(symbol, name, logo_url, coin, tuple(lists)) if has_listing else None
            mine = facts[key] = _Facts(listing)
        if source is not None:
            mine.take(source, answered_at, (price_usd, price_at, read_at, change, at_par), row[-3:])
    return TokenStore(tokens, incomplete, aged, {key: mine.known for key, mine in facts.items()})


def is_incomplete(info: TokenInfo) -> bool:
    """Whether metadata lacks what a position needs: its decimals, or any name."""
    return info.decimals is None or not (info.symbol or info.name)


def write_tokens(
    connection: Connection, *, tokens: Mapping[TokenKey, FetchedMetadata], evidence: Mapping[TokenKey, Evidence]
) -> None:
    """Stores metadata and evidence in one round trip; the later value of each datum stays.

    Args:
        connection: Any; rows are written in key order, so that two writers can't wait for each other.
        tokens: Metadata.
        evidence: Evidence of the tokens about which something was learned.
    """
    token_rows = [
        {
            "chain_id": key.chain_id,
            "token_address": key.address,
            "source": described.source,
            "tries": described.tries,
            **described.info._asdict(),
        }
        for key, described in tokens.items()
    ]
    evidence_rows = [row for key, facts in evidence.items() for row in _evidence_rows(key, facts)]
    connection.exec_driver_sql(
        _WRITE,
        {"tokens": recordset(token_rows), "evidence": recordset(evidence_rows)},
    )


def _evidence_rows(key: TokenKey, evidence: Evidence) -> list[dict[str, Any]]:
    token = {"chain_id": key.chain_id, "token_address": key.address}
    rows = []
    for source, answered_at in evidence.answered.items():
        quote = evidence.quotes.get(source)
        row = {**token, "source": source.value, "answered_at": answered_at, "at_par": bool(quote and quote.at_par)}
        if quote is not None:
            row |= {
                "price_usd": quote.price_usd,
                "price_at": quote.price_at,
                "read_at": quote.read_at,
                "change_24h": quote.change_24h,
            }
        if source is PriceSource.DEXSCREENER and evidence.depth is not None:
            depth = evidence.depth
            row |= {"depth": depth.state.value, "depth_usd": depth.usd, "depth_at": depth.at}
        rows.append(row)
    if evidence.accepted is not None:
        price_usd, at = evidence.accepted
        rows.append(
            {
                **token,
                "source": _ACCEPTED,
                "answered_at": at,
                "price_usd": price_usd,
                "read_at": at,
                "at_par": False,
            }
        )
    return rows


def logo_url_of(connection: Connection, chain_id: int, address: str) -> str | None:
    """The URL of a token's logo, by a provider or a list."""
    url: str | None = connection.exec_driver_sql(
        "SELECT coalesce(m.logo_url, r.logo_url) FROM (SELECT %s::int AS chain_id, %s::text AS token_address) x "
        "LEFT JOIN token_metadata m USING (chain_id, token_address) "
        "LEFT JOIN token_registry r USING (chain_id, token_address)",
        (chain_id, address),
    ).scalar()
    return url
