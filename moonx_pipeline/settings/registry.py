"""Settings of the token registry."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator

from moonx_pipeline.settings.fields import Group, Url, setting


def _split(value: Any) -> Any:
    """Parses ``a,b c`` into a tuple."""
    return tuple(part for part in re.split(r"[\s,]+", value) if part) if isinstance(value, str) else value


def _each_once(urls: tuple[str, ...]) -> tuple[str, ...]:
    # A list is identified by its URL without the query.
    places = [url.partition("?")[0] for url in urls]
    if len(set(places)) < len(places):
        raise ValueError("names a list twice")
    return urls


TokenListUrls = Annotated[tuple[Url, ...], BeforeValidator(_split), AfterValidator(_each_once)]


class RegistrySettings(Group):
    """The token registry: which contracts are known by name."""

    token_lists: TokenListUrls = setting(
        (),
        "TOKEN_LISTS",
        about="Token lists to read daily, by URL, with commas between; the first is trusted the most. Those in the "
        "package go before them, CoinGecko's listing of coins goes after.",
    )
