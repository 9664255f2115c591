"""The words of this project: plain English, one term a concept (docs/glossary.md)."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from moonx_pipeline.gateway.portfolio_models import ReasonCode
from moonx_pipeline.providers.errors import ProviderError
from moonx_pipeline.sync.protection.breakers import BreakerOpen

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "moonx_pipeline"
GENERATED = {ROOT / "docs" / "settings.md"}
UNWANTED = re.compile(
    r"\b(whoever|whomever|whom|of which|(?:is|are|was|were) told of|he|his|him|himself|doorbell)\b", re.IGNORECASE
)


def prose(path: Path) -> Iterator[tuple[int, str]]:
    """Comments and docstrings of a module; every line of a document."""
    text = path.read_text()
    if path.suffix != ".py":
        yield from enumerate(text.splitlines(), 1)
        return
    before = tokenize.NEWLINE
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        is_statement = before in (tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)
        if token.type == tokenize.COMMENT or (token.type == tokenize.STRING and is_statement):
            yield token.start[0], token.string
        if token.type not in (tokenize.NL, tokenize.COMMENT):
            before = token.type


def written() -> list[Path]:
    documents = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    return sorted({*PACKAGE.rglob("*.py"), *documents} - GENERATED)


def test_there_is_much_to_read() -> None:
    assert len(written()) > 300


@pytest.mark.parametrize("path", written(), ids=lambda path: str(path.relative_to(ROOT)))
def test_prose_has_no_word_that_a_reader_has_to_translate(path: Path) -> None:
    found = [(line, match.group()) for line, text in prose(path) for match in UNWANTED.finditer(text)]
    assert found == []


def test_names_of_tests_are_read_at_one_glance() -> None:
    names = [
        match.group(1)
        for path in (ROOT / "moonx_pipeline_tests").rglob("test_*.py")
        for match in re.finditer(r"^ *(?:async )?def (test_\w+)", path.read_text(), re.MULTILINE)
    ]
    assert len(names) > 1000
    assert [name for name in names if len(name) >= 80] == []


def test_each_kind_of_error_is_a_code_that_the_api_names() -> None:
    def kinds(error: type[ProviderError]) -> set[str]:
        return {error.kind}.union(*map(kinds, error.__subclasses__()))

    assert BreakerOpen.kind in kinds(ProviderError)
    assert kinds(ProviderError) | {"no_source", "unread_tokens"} == set(get_args(ReasonCode))
