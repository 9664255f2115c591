"""The page's files: kept for ever by their names, and compressed for who takes that."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from moonx_pipeline.gateway import page

SCRIPT = "console.log('moonx');" * 200


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "main-abc.js").write_text(SCRIPT)
    (tmp_path / "index.html").write_text("<!doctype html>")
    monkeypatch.setattr(page, "STATIC", tmp_path)
    app = FastAPI()
    page.serve_page(app)
    return TestClient(app)


def test_a_file_is_compressed_for_who_takes_that(client: TestClient) -> None:
    with client.stream("GET", "/assets/main-abc.js", headers={"Accept-Encoding": "gzip"}) as answer:
        sent = b"".join(answer.iter_raw())

    assert gzip.decompress(sent).decode() == SCRIPT
    assert answer.headers["content-encoding"] == "gzip"
    assert int(answer.headers["content-length"]) == len(sent)
    assert answer.headers["vary"] == "Accept-Encoding"
    assert answer.headers["content-type"].startswith("text/javascript")
    assert "immutable" in answer.headers["cache-control"]


def test_a_file_is_whole_for_who_takes_no_compression(client: TestClient) -> None:
    answer = client.get("/assets/main-abc.js", headers={"Accept-Encoding": "identity"})

    assert answer.text == SCRIPT
    assert "content-encoding" not in answer.headers
    assert "immutable" in answer.headers["cache-control"]


def test_a_known_file_is_not_sent_again(client: TestClient) -> None:
    tag = client.get("/assets/main-abc.js", headers={"Accept-Encoding": "gzip"}).headers["etag"]

    answer = client.get("/assets/main-abc.js", headers={"If-None-Match": tag})

    assert (answer.status_code, answer.content) == (304, b"")
