"""Fetches small files of other hosts, with one deadline over the whole: look-up, connection, headers and body."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import requests
import urllib3

from moonx_pipeline.providers.connections import FinalResponses

FETCH_ERRORS: Final = (requests.RequestException, urllib3.exceptions.HTTPError, OSError)
"""What ``fetch`` raises of a host that does not answer in full in time."""


class Fetched(NamedTuple):
    """An answer; ``body`` is longer than allowed by one byte if there is more of it."""

    status: int
    body: bytes


def fetch(url: str, *, seconds: float, most_bytes: int) -> Fetched:
    """Fetches a URL without following redirects.

    Args:
        url: Of http or https.
        seconds: The longest that all of it may take, however slowly the host sends.
        most_bytes: Reading stops after one byte more.

    Raises:
        FETCH_ERRORS: The host did not answer, not in time, or the connection broke.
    """
    with requests.Session() as session:
        adapter = FinalResponses()  # its reads obey the deadline of the whole call
        session.mount("https://", adapter)
        session.mount("http://", adapter)
        timeout: Any = urllib3.Timeout(total=seconds)
        with session.get(url, timeout=timeout, stream=True, allow_redirects=False, auth=_no_login) as response:
            return Fetched(response.status_code, response.raw.read(most_bytes + 1, decode_content=True))


def _no_login(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Keeps a login in ~/.netrc from being sent."""
    return request
