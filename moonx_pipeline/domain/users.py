"""User ids: another system's names for its users, checked once on input."""

from __future__ import annotations

from typing import Final

MAX_USER_ID: Final = 255


class InvalidUserId(ValueError):
    """A text that cannot be a user's id; the message says which and why."""


def parse_user_id(text: str) -> str:
    """A user's id as given, if it can be one.

    Raises:
        InvalidUserId: It is empty, too long, or has invisible characters.
    """
    if not text.strip() or len(text) > MAX_USER_ID or not text.isprintable() or text != text.strip():
        raise InvalidUserId(
            f"'{text[:60]}' can't be a user id: it must be 1 to {MAX_USER_ID} characters that show, "
            "without spaces at its ends."
        )
    return text
