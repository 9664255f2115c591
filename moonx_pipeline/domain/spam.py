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
# (a subset of Unicode TR39's confusables, for the letters that symbols are forged with): Cyrillic, Greek
# and signs; then Armenian and Lisu; then Cherokee, which have the U, D and S that the first lack.
_CONFUSABLES = str.maketrans(
    "АВСЕНІЈКМОРЅТХУаеосрхуіѕјԁԛԝΑΒΕΖΗΙΚΜΝΟΡΤΥΧαιορτυνϹϲ₮ÐՍՏꓐꓑꓓꓔꓖꓗꓙꓚꓜꓝꓟꓠꓡꓢꓣꓦꓧꓪꓫꓬꓮꓰꓲꓳꓴᎪᏴᏟᎠᎬᏀᎻᎫᏦᏞᎷᏢᏚᎢᏙᎳᏃ",
    "ABCEHIJKMOPSTXYaeocpxyisjdqwABEZHIKMNOPTYXaioptuvCcTDUSBPDTGKJCZFMNLSRVHWXYAEIOUABCDEGHJKLMPSTVWZ",
)

_BLANKS = frozenset("\u115f\u1160\u2800\u3164\uffa0")
"""Fillers that count as letters or signs but show nothing."""


def _as_read(text: str) -> str:
    """Text as the eye reads it: compatibility forms, look-alikes, accents and invisible marks folded."""
    if text.isascii():
        return text
    folded = unicodedata.normalize("NFKD", text.translate(_CONFUSABLES)).translate(_CONFUSABLES)
    return "".join(c for c in folded if not (_is_hidden(c) or unicodedata.category(c)[0] == "M"))


def _folded(symbol: str) -> str:
    """A symbol without what does not tell it from another: spaces, a dollar sign before it, case."""
    return "".join(c for c in _as_read(symbol) if unicodedata.category(c)[0] in "LNPS").strip("$").upper()


def _is_hidden(character: str) -> bool:
    """Whether it is a control, bidirectional, zero-width or otherwise blank character that is no space."""
    return character in _BLANKS or unicodedata.category(character) in ("Cc", "Cf", "Co", "Cs", "Zl", "Zp")


def metadata_reasons(info: TokenInfo) -> tuple[str, ...]:
    """What is forged about a token's metadata, as short codes in a fixed order; empty for a clean one.

    ``link_in_name``: a name or symbol holds a web address. ``lure_in_name``: it asks to claim or visit.
    ``lookalike_symbol``: it poses as a well-known token. ``hidden_characters``: it holds characters that
    do not show. ``no_metadata``: it has neither name nor symbol.
    """
    symbol, name = info.symbol or "", info.name or ""
    both = f"{name} {symbol}"
    read = _as_read(both)
    reasons = []
    if not symbol.strip() and not name.strip():
        reasons.append("no_metadata")
    if _LINK.search(read):
        reasons.append("link_in_name")
    if _LURE.search(read):
        reasons.append("lure_in_name")
    if not (both.isascii() and both.isprintable()) and any(map(_is_hidden, both)):
        reasons.append("hidden_characters")
    if _folded(symbol) in CURATED_SYMBOLS:
        reasons.append("lookalike_symbol")
    return tuple(reasons)
