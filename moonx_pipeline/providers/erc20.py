"""The four questions to an ERC-20 contract, and how its answers are decoded.

A contract may answer anything: every reader here returns ``None`` for what it can't decode.
"""

from __future__ import annotations

from typing import Final

from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError
from eth_utils.abi import function_signature_to_4byte_selector

MAX_DECIMALS: Final = 77
"""10^77 is the largest power of ten in 256 bits; a token that claims more is broken or hostile."""

MAX_TEXT: Final = 128
"""The most characters of a name or symbol to keep."""

_WORD: Final = 32
_BALANCE_OF: Final = function_signature_to_4byte_selector("balanceOf(address)")

NAME: Final = "0x" + function_signature_to_4byte_selector("name()").hex()
SYMBOL: Final = "0x" + function_signature_to_4byte_selector("symbol()").hex()
DECIMALS: Final = "0x" + function_signature_to_4byte_selector("decimals()").hex()


def balance_of(wallet: str) -> str:
    """Call data, 0x-hex, that asks for a wallet's balance."""
    return "0x" + (_BALANCE_OF + encode(["address"], [wallet])).hex()


def read_balance(answer: str) -> int | None:
    """A balance in the smallest unit; ``None`` for an empty or short answer, which is not zero."""
    raw = _bytes(answer)
    return _number(raw) if raw is not None else None


def read_decimals(answer: str) -> int | None:
    """Decimals from 0 to ``MAX_DECIMALS``, or ``None``."""
    raw = _bytes(answer)
    decimals = _number(raw) if raw is not None else None
    return decimals if decimals is not None and decimals <= MAX_DECIMALS else None


def read_text(answer: str) -> str | None:
    """A name or symbol: a string, or 32 bytes padded with NULs as in tokens of 2017 such as MKR.

    Bytes that are not UTF-8 become U+FFFD, NULs are dropped (PostgreSQL stores none), and at most ``MAX_TEXT``
    characters are kept. An empty text is ``None``.
    """
    raw = _bytes(answer)
    if raw is None:
        return None
    if len(raw) == _WORD:
        content = raw
    else:
        try:
            # As bytes, since a string that is not UTF-8 would be refused; not strict, since some contracts omit the
            # padding of the last word.
            content = decode(["bytes"], raw, strict=False)[0]
        except (DecodingError, OverflowError):  # the latter if the claimed length is beyond any memory
            return None
    return content.decode("utf-8", "replace").replace("\0", "").strip()[:MAX_TEXT] or None


def _number(raw: bytes) -> int | None:
    return int(decode(["uint256"], raw)[0]) if len(raw) >= _WORD else None


def _bytes(answer: str) -> bytes | None:
    try:
        return bytes.fromhex(answer.removeprefix("0x"))
    except ValueError:
        return None
