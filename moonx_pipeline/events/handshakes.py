"""Encryption of connections to Kafka, with a deadline of its own.

The client has one for connecting and one for each request, and none for the handshake in between: a broker that is
frozen, or behind a network that drops packets, would hold its caller for ever.
"""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import suppress

SILENT = "the broker is silent while encryption begins"


class _Context(ssl.SSLContext):
    """A context that knows how long a handshake may take."""

    handshake_seconds: float = 0


class _PromptSocket(ssl.SSLSocket):
    """A connection whose handshake ends in time.

    The client tries the handshake again whenever there is something to read, so what ends the waiting is the end of
    the connection.
    """

    _timer: threading.Timer | None = None
    _is_late = False

    def do_handshake(self, block: bool = False) -> None:
        if self._timer is None:
            context = self.context
            assert isinstance(context, _Context)  # noqa: S101 - the context makes these sockets
            self._timer = threading.Timer(context.handshake_seconds, self._give_up)
            self._timer.daemon = True
            self._timer.start()
        try:
            super().do_handshake(block)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except Exception:
            self._timer.cancel()
            if self._is_late:
                raise TimeoutError(SILENT) from None
            raise
        self._timer.cancel()

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        super().close()

    def _give_up(self) -> None:
        self._is_late = True
        with suppress(OSError):  # it has ended
            # The plain socket's: that of the encrypted one would also forget the handshake, which is under way.
            socket.socket.shutdown(self, socket.SHUT_RDWR)


def prompt_context(authorities: str | None, seconds: float) -> ssl.SSLContext:
    """A client's context that checks certificates and host names, and whose handshakes end in time.

    Args:
        authorities: Certificates of who is trusted, as PEM; ``None`` for those of the system.
        seconds: The longest that a handshake may take.
    """
    context = _Context(ssl.PROTOCOL_TLS_CLIENT)
    context.handshake_seconds = seconds
    context.sslsocket_class = _PromptSocket
    if authorities:
        context.load_verify_locations(cadata=authorities)
    else:
        context.load_default_certs()
    return context
