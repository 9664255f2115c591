"""Which tokens are spam, and why.

Spam is kept and marked, hidden unless asked for, and never a part of a total. A curated token, or one
that CoinGecko or Binance lists by its contract, is never spam.
"""

from __future__ import annotations

import re
import unicodedata

from moonx_pipeline.domain.curated import CURATED_SYMBOLS
from moonx_pipeline.domain.portfolio import TokenInfo

_LINK = re.compile(
    r"https?:|www\.|t\.me/|\.(?:com|org|net|io|xyz|app|fi|finance|gift|gifts|site|online|top|club|live|vip|win|pro|"
    r"info|link|claim|claims|cash|cc|me|lol|fun|events|network|website|space|world|today|us|co|to|ru|cn|eth\.limo)\b",
    re.IGNORECASE,
)
_LURE = re.compile(
    r"\b(?:claim|claims|visit|airdrop|airdrops|redeem|voucher|reward|rewards|giveaway|bonus|eligible|winner)\b",
    re.IGNORECASE,
)

# Letters of other scripts that look like Latin ones, beyond what Unicode's compatibility forms fold
# (a subset of Unicode TR39's confusables, for the letters that symbols are forged with).
_CONFUSABLES = str.maketrans(
    "АВСЕНІЈКМОРЅТХУаеосрхуіѕјԁԛԝΑΒΕΖΗΙΚΜΝΟΡΤΥΧαορτυν₮Ð",
    "ABCEHIJKMOPSTXYaeocpxyisjdqwABEZHIKMNOPTYXaoptuvTD",
)


def _folded(symbol: str) -> str:
    """The symbol as the eye reads it: compatibility forms, look-alikes, accents and invisible marks folded."""
    text = unicodedata.normalize("NFKD", symbol).translate(_CONFUSABLES)
    return "".join(c for c in text if unicodedata.category(c)[0] in "LNPS" and not c.isspace()).strip("$ ").upper()


def _has_hidden_characters(text: str) -> bool:
    """Whether it has control, bidirectional or zero-width characters."""
    return any(unicodedata.category(character) in ("Cc", "Cf", "Co", "Cs") for character in text)


def metadata_reasons(info: TokenInfo) -> tuple[str, ...]:
    """What is forged about a token's metadata, as short codes in a fixed order; empty for a clean one.

    ``link_in_name``: a name or symbol holds a web address. ``lure_in_name``: it asks to claim or visit.
    ``lookalike_symbol``: it poses as a well-known token. ``hidden_characters``: it holds characters that
    do not show. ``no_metadata``: it has neither name nor symbol.
    """
    symbol, name = info.symbol or "", info.name or ""
    both = f"{name} {symbol}"
    reasons = []
    if not symbol.strip() and not name.strip():
        reasons.append("no_metadata")
    if _LINK.search(both):
        reasons.append("link_in_name")
    if _LURE.search(both):
        reasons.append("lure_in_name")
    if _has_hidden_characters(both):
        reasons.append("hidden_characters")
    if _folded(symbol) in CURATED_SYMBOLS:
        reasons.append("lookalike_symbol")
    return tuple(reasons)
