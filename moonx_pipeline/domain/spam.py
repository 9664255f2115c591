"""Judges which tokens are spam, and why.

A suspicion is not a verdict. A token is spam if it shows a sign of forgery, **and** no list or listing names its
contract, **and** it has no trusted depth; it is judged only once a source that knows pools has answered. Spam is kept
and marked, hidden unless asked for, and never part of a total.
"""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

from moonx_pipeline.domain.majors import WELL_KNOWN_SYMBOLS
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

# Letters of other scripts that look like Latin ones and that Unicode's compatibility forms do not fold
# (a subset of Unicode TR39's confusables, for the letters in forged symbols): Cyrillic, Greek
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
    """A symbol without what does not distinguish it: spaces, a leading dollar sign, case."""
    if symbol.isascii() and symbol.isprintable():  # as the rest says, for a tenth of the time
        return symbol.replace(" ", "").strip("$").upper()
    return "".join(c for c in _as_read(symbol) if unicodedata.category(c)[0] in "LNPS").strip("$").upper()


def _is_hidden(character: str) -> bool:
    """Whether a character is a control, bidirectional, zero-width or otherwise blank one, other than a space."""
    return character in _BLANKS or unicodedata.category(character) in ("Cc", "Cf", "Co", "Cs", "Zl", "Zp")


def suspicions(info: TokenInfo) -> tuple[str, ...]:
    """The signs of forgery in a token's metadata, as short codes in a fixed order; empty for a clean one.

    ``link_in_name``: a name or symbol holds a web address. ``lure_in_name``: it asks to claim or visit.
    ``lookalike_symbol``: it poses as a well-known token. ``hidden_characters``: it holds invisible
    characters. ``no_metadata``: it has neither name nor symbol.
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
    if _folded(symbol) in WELL_KNOWN_SYMBOLS:
        reasons.append("lookalike_symbol")
    return tuple(reasons)


class Verdict(NamedTuple):
    """Whether a token is spam.

    Attributes:
        spam_reasons: Why it is spam; empty if it is not.
        is_pending: Whether it is suspected, and not yet known to have a market or none.
    """

    spam_reasons: tuple[str, ...] = ()
    is_pending: bool = False


NOT_SPAM = Verdict()


def judge_spam(suspected_for: tuple[str, ...], *, is_listed: bool, is_deep: bool, was_asked_for: bool) -> Verdict:
    """Judges whether a token is spam.

    Args:
        suspected_for: Its ``suspicions``.
        is_listed: Whether a list or listing names its contract.
        is_deep: Whether it has a pool with trusted depth.
        was_asked_for: Whether a source that knows pools has answered about it, with pools or with none.
    """
    if not suspected_for or is_listed or is_deep:
        return NOT_SPAM
    return Verdict(suspected_for) if was_asked_for else Verdict(is_pending=True)
