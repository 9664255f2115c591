"""Wallet and contract addresses: checked once on input, lower case from then on."""

from __future__ import annotations

import re

from eth_utils.address import is_checksum_address, to_checksum_address

_HEX_ADDRESS = re.compile(r"0x[0-9a-f]{40}", re.IGNORECASE)
_MOST_SHOWN = 90


class InvalidAddress(ValueError):
    """A text that is no address; the message says which and why."""


def parse_address(text: str) -> str:
    """Checks an address and returns it in lower case.

    An address in one case is accepted as it is; one in mixed case must have a correct EIP-55 checksum,
    since a wrong one is a typing mistake (https://eips.ethereum.org/EIPS/eip-55).

    Raises:
        InvalidAddress: The text is no address, or its checksum is wrong.
    """
    address = text.strip()
    shown = text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}…"
    if not address.lower().startswith("0x"):
        raise InvalidAddress(f"'{shown}' is no address: it does not begin with 0x.")
    if not _HEX_ADDRESS.fullmatch(address):
        digits = address[2:]
        if len(digits) != 40:
            raise InvalidAddress(f"'{shown}' is no address: it has {len(digits)} digits after 0x, not 40.")
        raise InvalidAddress(f"'{shown}' is no address: it has characters other than 0-9 and a-f.")
    digits = address[2:]
    if digits not in (digits.lower(), digits.upper()) and not is_checksum_address("0x" + digits):
        right = to_checksum_address(address.lower())
        raise InvalidAddress(
            f"'{shown}' has a wrong EIP-55 checksum, so a character is mistyped "
            f"(were its digits right, it would be written {right})."
        )
    return address.lower()
