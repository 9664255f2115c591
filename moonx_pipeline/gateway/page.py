"""Serves the portfolio page, the files that ``make web`` builds."""

from __future__ import annotations

import gzip
import os
from functools import cache
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI
from starlette.datastructures import Headers
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

StrPath = str | os.PathLike[str]

STATIC: Final = Path(__file__).parent / "static"
_VIEWS: Final = ("/", "/admin")
"""Paths of the one page, which chooses the view by itself."""

_NOT_BUILT: Final = (
    "<!doctype html><title>MoonX</title><p>The page is not built: run <code>make web</code>, and start the gateway "
    "again. The API works without it: <a href=/docs>/docs</a>."
)


class _Assets(StaticFiles):
    """Files whose names change with their content."""

    def file_response(
        self, full_path: StrPath, stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        response = super().file_response(full_path, stat_result, scope, status_code)
        if isinstance(response, FileResponse) and scope["method"] == "GET" and _takes_gzip(scope):
            headers = {"Content-Encoding": "gzip", "Vary": "Accept-Encoding", "ETag": response.headers["etag"]}
            response = Response(_compressed(str(full_path)), status_code, headers, response.media_type)
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response


def _takes_gzip(scope: Scope) -> bool:
    return "gzip" in Headers(scope=scope).get("accept-encoding", "")


@cache
def _compressed(path: str) -> bytes:
    """A file of the page, which is the same as long as it has this name: compressed once, as well as can be."""
    return gzip.compress(Path(path).read_bytes(), mtime=0)


def serve_page(app: FastAPI) -> None:
    """Adds the page's files to an app."""
    built = (STATIC / "index.html").is_file()

    async def view() -> Response:
        if not built:
            return HTMLResponse(_NOT_BUILT, 503)
        return FileResponse(STATIC / "index.html", headers={"Cache-Control": "no-cache"})

    for address in _VIEWS:
        app.add_api_route(address, view, methods=["GET", "HEAD"], include_in_schema=False)
    if not built:
        return
    app.mount("/assets", _Assets(directory=STATIC / "assets"))
    for file in sorted(STATIC.iterdir()):
        if file.is_file() and file.name != "index.html":
            app.add_api_route(f"/{file.name}", _file(file), methods=["GET", "HEAD"], include_in_schema=False)


def _file(file: Path) -> Any:
    async def serve() -> Response:
        return FileResponse(file, headers={"Cache-Control": "public, max-age=3600"})

    return serve
