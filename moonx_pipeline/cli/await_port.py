"""``python -m moonx_pipeline.cli.await_port PORT``: waits until something listens there, before the next program."""

from __future__ import annotations

import socket
import sys

from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed


@retry(retry=retry_if_exception_type(OSError), wait=wait_fixed(0.1), stop=stop_after_delay(60), reraise=True)
def await_port(port: int) -> None:
    """Waits for a listener on the loopback interface.

    Raises:
        OSError: Nobody listens within a minute.
    """
    socket.create_connection(("127.0.0.1", port), timeout=1).close()


if __name__ == "__main__":
    await_port(int(sys.argv[1]))
