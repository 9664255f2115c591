"""Connections that skip interim responses, and apply one deadline to the whole call.

A server may send ``103 Early Hints``, or any other 1xx status, before its answer (RFC 9110, 15.2). Python's
``http.client`` knows only 100 and returns the others as if they were the answer. The answer itself would then stay
unread on a connection that goes back into the pool, and be taken for that of the next call.

A socket's timeout applies to each read: a server that sends a byte of its status line every two seconds would hold a
call for hours. Here each read gets what is left of the call's time, and so does connecting, over all of a host's
addresses and their look-up.
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
"""The longest wait for one address of a host, and for the TLS handshake."""

MAX_INTERIM: Final = 8
"""Interim responses before one answer; no server needs more."""

_SWITCHING_PROTOCOLS: Final = 101  # final by definition: what follows is not HTTP


class _InTime(socket.SocketIO):
    """Reads from a socket until a fixed time, however slowly data arrives."""

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
        seconds = sock.gettimeout()  # the rest of the call's time, set by the pool
        if seconds is not None:
            # http.client's own reader, given a deadline: wrapping it in another costs 1 % of a call.
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
    """A connection with a deadline for connecting. Only for new ones: kept connections cost nothing."""

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
        # What follows, such as the TLS handshake, obeys the socket's timeout.
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
    """An adapter for ``requests`` that returns the final response, whatever interim responses come before it."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **kwargs)
        if not proxy.lower().startswith("socks"):  # those have connections of their own
            manager.pool_classes_by_scheme = _POOLS
        return manager
