"""What is known of tokens beyond any one user: their metadata and the book of prices."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

from sqlalchemy import Connection

from moonx_pipeline.domain.portfolio import TokenInfo, TokenKey
from moonx_pipeline.domain.pricing import BookPrice
from moonx_pipeline.storage.recordset import recordset


class TokenBook(NamedTuple):
    """Metadata and prices of tokens, as stored."""

    tokens: dict[TokenKey, TokenInfo]
    prices: dict[TokenKey, BookPrice]


_READ = """
SELECT x.chain_id, x.token_address, m.token_address IS NOT NULL, m.symbol, m.name, m.decimals, m.logo_url,
       p.token_address IS NOT NULL, p.price_usd, p.source, p.price_at, p.liquidity_usd, p.change_24h, p.flags,
       p.read_at, p.reference_usd, p.reference_at
FROM unnest(%s::int[], %s::text[]) AS x(chain_id, token_address)
LEFT JOIN token_metadata m USING (chain_id, token_address)
LEFT JOIN token_prices p USING (chain_id, token_address)
WHERE m.token_address IS NOT NULL OR p.token_address IS NOT NULL
"""

_WRITE = """
WITH tokens AS (
    INSERT INTO token_metadata AS m (chain_id, token_address, symbol, name, decimals, logo_url, source)
    SELECT * FROM json_to_recordset(%(tokens)s::json) AS x(
        chain_id integer, token_address text, symbol text, name text, decimals smallint, logo_url text, source text)
    ORDER BY 1, 2
    ON CONFLICT (chain_id, token_address) DO UPDATE
    SET symbol = excluded.symbol, name = excluded.name, decimals = excluded.decimals, logo_url = excluded.logo_url,
        source = excluded.source, read_at = now()
    WHERE (m.symbol, m.name, m.decimals, m.logo_url)
        IS DISTINCT FROM (excluded.symbol, excluded.name, excluded.decimals, excluded.logo_url)
)
INSERT INTO token_prices AS p (chain_id, token_address, price_usd, source, price_at, liquidity_usd, change_24h, flags,
                               read_at, reference_usd, reference_at)
SELECT * FROM json_to_recordset(%(prices)s::json) AS x(
    chain_id integer, token_address text, price_usd numeric, source text, price_at timestamptz, liquidity_usd numeric,
    change_24h numeric, flags text[], read_at timestamptz, reference_usd numeric, reference_at timestamptz)
ORDER BY 1, 2
ON CONFLICT (chain_id, token_address) DO UPDATE
SET price_usd = excluded.price_usd, source = excluded.source, price_at = excluded.price_at,
    liquidity_usd = excluded.liquidity_usd, change_24h = excluded.change_24h, flags = excluded.flags,
    read_at = excluded.read_at, reference_usd = excluded.reference_usd, reference_at = excluded.reference_at
WHERE p.read_at < excluded.read_at
"""


def read_book(connection: Connection, keys: Collection[TokenKey]) -> TokenBook:
    """Metadata and prices of tokens, those that are known, in one round trip."""
    rows = connection.exec_driver_sql(_READ, ([key.chain_id for key in keys], [key.address for key in keys]))
    book = TokenBook({}, {})
    for chain_id, address, has_info, symbol, name, decimals, logo, has_price, *price in rows:
        key = TokenKey(chain_id, address)
        if has_info:
            book.tokens[key] = TokenInfo(symbol, name, decimals, logo)
        if has_price:
            usd, source, price_at, liquidity, change, flags, read_at, reference, reference_at = price
            book.prices[key] = BookPrice(
                usd, source, price_at, liquidity, change, tuple(flags), read_at, reference, reference_at
            )
    return book


def write_book(
    connection: Connection,
    *,
    tokens: Mapping[TokenKey, tuple[TokenInfo, str]],
    prices: Mapping[TokenKey, BookPrice],
) -> None:
    """Stores what was learned, in one round trip. A price read earlier never replaces one read later.

    Args:
        connection: Any; rows are taken in key order, so that two writers can't wait for each other.
        tokens: Metadata with the name of its source.
        prices: New entries.
    """
    token_rows = [
        {"chain_id": key.chain_id, "token_address": key.address, "source": source, **info._asdict()}
        for key, (info, source) in tokens.items()
    ]
    price_rows = [
        {"chain_id": key.chain_id, "token_address": key.address, **price._asdict()} for key, price in prices.items()
    ]
    connection.exec_driver_sql(_WRITE, {"tokens": recordset(token_rows), "prices": recordset(price_rows)})


def logo_url_of(connection: Connection, chain_id: int, address: str) -> str | None:
    """Where the logo of a token is, as a provider told."""
    url: str | None = connection.exec_driver_sql(
        "SELECT logo_url FROM token_metadata WHERE chain_id = %s AND token_address = %s", (chain_id, address)
    ).scalar()
    return url
