"""The page's files: kept for ever by their names, and compressed for who takes that."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
import uvicorn
from fastapi import FastAPI

from moonx_pipeline.gateway import page
from moonx_pipeline.simulator.server import listening_socket

SCRIPT = "console.log('moonx');" * 200


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a page's script, served."""
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "main-abc.js").write_text(SCRIPT)
    (tmp_path / "index.html").write_text("<!doctype html>")
    monkeypatch.setattr(page, "STATIC", tmp_path)
    app = FastAPI()
    page.serve_page(app)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))
    with listening_socket(0) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/assets/main-abc.js"
        server.should_exit = True
        thread.join(10)


def ask(address: str, **headers: str) -> requests.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return requests.get(address, headers=named, timeout=30, stream=True)


def test_a_file_is_compressed_for_who_takes_that(script: str) -> None:
    answer = ask(script, Accept_Encoding="gzip")
    sent = answer.raw.read(decode_content=False)

    assert gzip.decompress(sent).decode() == SCRIPT
    assert answer.headers["content-encoding"] == "gzip"
    assert int(answer.headers["content-length"]) == len(sent)
    assert answer.headers["vary"] == "Accept-Encoding"
    assert answer.headers["content-type"].startswith("text/javascript")
    assert "immutable" in answer.headers["cache-control"]


def test_a_file_is_whole_for_who_takes_no_compression(script: str) -> None:
    answer = ask(script, Accept_Encoding="identity")

    assert answer.text == SCRIPT
    assert "content-encoding" not in answer.headers
    assert "immutable" in answer.headers["cache-control"]


def test_a_known_file_is_not_sent_again(script: str) -> None:
    tag = ask(script, Accept_Encoding="gzip").headers["etag"]

    answer = ask(script, If_None_Match=tag)

    assert (answer.status_code, answer.content) == (304, b"")
