"""The four questions to an ERC-20 contract, and how its answers are decoded.

A contract may answer anything: every reader here returns ``None`` for what it can't decode.
"""

from __future__ import annotations

from typing import Final

MAX_DECIMALS: Final = 77
"""10^77 is the largest power of ten in 256 bits; a token that claims more is broken or hostile."""

MAX_TEXT: Final = 128
"""The most characters of a name or symbol to keep."""

_WORD: Final = 32

# Selectors: the first four bytes of the Keccak hash of name and types (EIP-20, https://eips.ethereum.org/EIPS/eip-20).
_BALANCE_OF: Final = "0x70a08231"  # balanceOf(address)
NAME: Final = "0x06fdde03"  # name()
SYMBOL: Final = "0x95d89b41"  # symbol()
DECIMALS: Final = "0x313ce567"  # decimals()


def balance_of(wallet: str) -> str:
    """Call data, 0x-hex, that asks for a wallet's balance."""
    return _BALANCE_OF + wallet.removeprefix("0x").rjust(2 * _WORD, "0")


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
        # A tenth of a process's start, and few processes read a text.
        from eth_abi.abi import decode
        from eth_abi.exceptions import DecodingError

        try:
            # As bytes, since a string that is not UTF-8 would be refused; not strict, since some contracts omit the
            # padding of the last word.
            content = decode(["bytes"], raw, strict=False)[0]
        except (DecodingError, OverflowError):  # the latter if the claimed length is beyond any memory
            return None
    return content.decode("utf-8", "replace").replace("\0", "").strip()[:MAX_TEXT] or None


def _number(raw: bytes) -> int | None:
    return int.from_bytes(raw[:_WORD]) if len(raw) >= _WORD else None


def _bytes(answer: str) -> bytes | None:
    try:
        return bytes.fromhex(answer.removeprefix("0x"))
    except ValueError:
        return None
