"""A connection that listens for progress."""

from __future__ import annotations

import json

import psycopg2
from sqlalchemy import Engine

from moonx_pipeline.storage.syncs.progress import CHANNEL


class Listener:
    """A connection that listens."""

    def __init__(self, engine: Engine) -> None:
        arguments, options = engine.dialect.create_connect_args(engine.url)
        self._connection = psycopg2.connect(*arguments, **options)
        self._connection.autocommit = True
        with self._connection.cursor() as cursor:
            cursor.execute(f"LISTEN {CHANNEL}")

    def heard(self) -> list[dict]:
        """What was told so far."""
        with self._connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        told = [json.loads(message.payload) for message in self._connection.notifies]
        self._connection.notifies.clear()
        return told

    def close(self) -> None:
        self._connection.close()
