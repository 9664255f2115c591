"""Codes that sign in once, within a minute. The database holds nothing that signs anybody in.

A code is 160 random bits. Its row is found by one hash of it, and holds the token encrypted with a key that follows
from another: who reads the table has neither the code nor the token.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from datetime import datetime, timedelta
from typing import Final

from cryptography.fernet import Fernet
from sqlalchemy import Connection

LIFETIME: Final = timedelta(minutes=1)
_BYTES: Final = 20

_KEEP: Final = """
WITH over AS (DELETE FROM sign_in_codes WHERE expires_at < now())
INSERT INTO sign_in_codes (code_hash, token, expires_at) VALUES (%s, %s, now() + %s) RETURNING expires_at
"""
# A code that is used and one that is over are gone alike.
_TAKE: Final = "DELETE FROM sign_in_codes WHERE code_hash = %s RETURNING token, expires_at > now()"


def issue_code(connection: Connection, token: str) -> tuple[str, datetime]:
    """Makes a code that stands for a token; returns it with the end of its life.

    Args:
        connection: Inside a transaction.
        token: Checked already.
    """
    code = secrets.token_urlsafe(_BYTES)
    row = (_hash(b"row", code), Fernet(_key(code)).encrypt(token.encode()), LIFETIME)
    ends: datetime = connection.exec_driver_sql(_KEEP, row).scalar_one()
    return code, ends


def redeem_code(connection: Connection, code: str) -> str | None:
    """Takes the token that a code stands for, once; ``None`` of a code that is used, over, or was never made.

    Args:
        connection: Inside a transaction.
        code: As it came in the link.
    """
    row = connection.exec_driver_sql(_TAKE, (_hash(b"row", code),)).one_or_none()
    if row is None or not row[1]:
        return None
    return Fernet(_key(code)).decrypt(bytes(row[0])).decode()


def _key(code: str) -> bytes:
    return base64.urlsafe_b64encode(_hash(b"key", code))


def _hash(purpose: bytes, code: str) -> bytes:
    return hashlib.sha256(purpose + b":" + code.encode()).digest()
