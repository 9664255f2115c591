"""What is refused before Dagster's webserver sees it: requests that a foreign web page makes a browser send.

The webserver has no users: everybody who reaches it may launch and end runs. A page of anybody's, open in the browser
of an operator who reaches it, can send requests there with the operator's cookies. Three rules keep it out:

- GraphQL is asked by POST with a JSON body, which a browser sends to another site only after that site has agreed;
  websockets pass.
- ``Host`` must be a name that the webserver is known by. A page whose name was pointed at the webserver's address has
  another; an address as such is nobody's name, so it passes.
- ``Origin``, which a browser sends along, must be the same site, or one that the webserver is known by.
"""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

_GRAPHQL_BODIES = frozenset({"application/json", "application/graphql"})


class WebserverGuard:
    """An ASGI application in front of the webserver's.

    Args:
        app: The webserver.
        known_hosts: Names it is known by, besides ``localhost`` and addresses.
    """

    def __init__(self, app: ASGIApp, known_hosts: Collection[str]) -> None:
        self._app = app
        self._known_hosts = frozenset({"localhost", *(host.lower() for host in known_hosts)})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if refusal is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})  # before it was accepted: answered with 403
        else:
            await refusal(scope, receive, send)

    def _refusal(self, scope: Scope) -> PlainTextResponse | None:
        headers = Headers(scope=scope)
        host, origin = headers.get("host", ""), headers.get("origin")
        if host and not self._is_known(host):
            return PlainTextResponse(
                f"Dagster is not known by the name {host!a}: WEBSERVER_HOSTS has its names.\n", 403
            )
        if origin is not None and not self._is_same_site(origin, host):
            return PlainTextResponse(f"A page of {origin!a} may not use Dagster.\n", 403)
        if scope["type"] == "http" and scope["path"].rstrip("/").endswith("/graphql"):
            if scope["method"] != "POST":
                return PlainTextResponse("GraphQL is asked by POST.\n", 405, {"Allow": "POST"})
            if headers.get("content-type", "").partition(";")[0].strip().lower() not in _GRAPHQL_BODIES:
                return PlainTextResponse("A question in GraphQL is application/json.\n", 415)
        return None

    def _is_known(self, host: str) -> bool:
        name = _name_in(host)
        return name in self._known_hosts or _is_address(name)

    def _is_same_site(self, origin: str, host: str) -> bool:
        site = urlsplit(origin)
        if site.scheme not in ("http", "https"):
            return False  # such as "null", of a page without an origin
        if site.netloc.lower() == host.lower():
            return True
        # Behind a proxy that puts its own name in Host. Other ports of this machine are other people's pages.
        name = _name_in(site.netloc)
        return name != "localhost" and name in self._known_hosts


def _name_in(place: str) -> str:
    """The host of ``host:port``, in lower case."""
    name = place.rpartition("]")[0] if place.startswith("[") else place.partition(":")[0]
    return name.removeprefix("[").lower().removesuffix(".")


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
