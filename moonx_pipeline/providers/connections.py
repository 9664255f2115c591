"""Connections that read past interim responses, and that have one deadline for all of a call.

A server may send ``103 Early Hints``, or any other status of 1xx, before its answer (RFC 9110, 15.2). Python's
``http.client`` knows only 100 and hands out the others as if they were the answer. The answer itself would then lie
unread on a connection that goes back into the pool, and be taken for that of the next call.

A timeout of a socket is one of each look at it: a server that sends a byte of its status line every two seconds would
hold a call for hours. Here each look has what is left of the call's time, and so has connecting, over all of a host's
addresses and finding them.
"""

from __future__ import annotations

import http.client
import socket
import time
from typing import Any, Final

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError

from moonx_pipeline.deadlines import within

CONNECT_SECONDS: Final = 3.0
"""The longest wait for one address of a host, and for the handshake of encryption."""

MAX_INTERIM: Final = 8
"""Interim responses before one answer; no server has a use for more."""

_SWITCHING_PROTOCOLS: Final = 101  # final by its nature: what follows is no HTTP


class _InTime(socket.SocketIO):
    """What a socket sends until a time, however slowly it drips in."""

    connection: socket.socket
    end: float  # of time.monotonic()

    def readinto(self, buffer: Any) -> int | None:
        left = self.end - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self.connection.settimeout(left)
        return super().readinto(buffer)


class _FinalResponse(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        seconds = sock.gettimeout()  # what is left of the call's time, as the pool has set it
        if seconds is not None:
            # The reader that http.client has made, with a deadline: another one around it costs 1 % of a call.
            sent: Any = self.fp.raw
            sent.__class__, sent.connection, sent.end = _InTime, sock, time.monotonic() + seconds

    def begin(self) -> None:
        super().begin()
        for _ in range(MAX_INTERIM):
            if not 100 <= self.status < 200 or self.status == _SWITCHING_PROTOCOLS:
                return
            self.headers = None  # type: ignore[assignment]  # begin() reads the next response only without any
            super().begin()
        raise http.client.HTTPException(f"more than {MAX_INTERIM} interim responses")


class _Connection(HTTPConnection):
    """A connection that is made in time. Only a new one: those that are kept cost nothing."""

    response_class = _FinalResponse

    def _new_conn(self) -> socket.socket:
        whole, began = self.timeout, time.monotonic()
        if not isinstance(whole, int | float):
            return super()._new_conn()
        self.timeout = min(whole, CONNECT_SECONDS)
        try:
            made = within(whole, super()._new_conn, discard=socket.socket.close, name="connect")
        except TimeoutError:
            raise ConnectTimeoutError(self, f"{self.host} could not be connected to within {whole:.1f} s") from None
        finally:
            self.timeout = whole
        # What comes next, such as the handshake of encryption, goes by the socket's timeout.
        made.settimeout(max(0.001, min(CONNECT_SECONDS, whole - (time.monotonic() - began))))
        return made


class _SecureConnection(_Connection, HTTPSConnection):
    pass


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
