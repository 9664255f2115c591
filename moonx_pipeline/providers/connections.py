"""Connections that read past interim responses.

A server may send ``103 Early Hints``, or any other status of 1xx, before its answer (RFC 9110, 15.2). Python's
``http.client`` knows only 100 and hands out the others as if they were the answer. The answer itself would then lie
unread on a connection that goes back into the pool, and be taken for that of the next call.
"""

from __future__ import annotations

import http.client
from typing import Any, Final

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

MAX_INTERIM: Final = 8
"""Interim responses before one answer; no server has a use for more."""

_SWITCHING_PROTOCOLS: Final = 101  # final by its nature: what follows is no HTTP


class _FinalResponse(http.client.HTTPResponse):
    def begin(self) -> None:
        super().begin()
        for _ in range(MAX_INTERIM):
            if not 100 <= self.status < 200 or self.status == _SWITCHING_PROTOCOLS:
                return
            self.headers = None  # type: ignore[assignment]  # begin() reads the next response only without any
            super().begin()
        raise http.client.HTTPException(f"more than {MAX_INTERIM} interim responses")


class _Connection(HTTPConnection):
    response_class = _FinalResponse


class _SecureConnection(HTTPSConnection):
    response_class = _FinalResponse


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


_POOLS: Final = {"http": _Pool, "https": _SecurePool}


class FinalResponses(HTTPAdapter):
    """An adapter for ``requests`` that gives the answer, whatever interim responses come before it."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **kwargs)
        if not proxy.lower().startswith("socks"):  # those have connections of their own
            manager.pool_classes_by_scheme = _POOLS
        return manager
