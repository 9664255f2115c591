"""A proxy before the tests' PostgreSQL that can lose its connections without a word, as a firewall may."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import URL, make_url

from moonx_pipeline_tests.support.links import Link


def database_socket(server: str) -> str:
    """The path of the Unix socket of a server, by SQLAlchemy's URL of a database of it."""
    return f"{make_url(server).query['host']}/.s.PGSQL.5432"


def url_through(link: Link, server: str) -> URL:
    """The URL of a database by way of a link."""
    return make_url(server).set(host="127.0.0.1", port=link.port, query={"sslmode": "disable"})


class DatabaseProxy(Link):
    """A link to a database.

    Attributes:
        url: The database's URL by way of the link.
    """

    def __init__(self, server: str) -> None:
        """Listens; ``server`` is SQLAlchemy's URL of a database behind a socket."""
        super().__init__(database_socket(server))
        self.url = url_through(self, server)


@contextmanager
def database_proxy(server: str) -> Iterator[DatabaseProxy]:
    proxy = DatabaseProxy(server)
    try:
        yield proxy
    finally:
        proxy.close()
