"""Dagster's metadata of a run: names of tokens are text in its Markdown, whatever they hold."""

from __future__ import annotations

import string
from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from moonx_pipeline.defs.markdown import markdown_text
from moonx_pipeline.defs.metadata import portfolio_table
from moonx_pipeline_tests.support.rows import position

_PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
_HEADINGS = ["token", "chain", "amount", "price", "value"]


def cells(markdown: str) -> list[list[str]]:
    """The cells of a table's rows, as HTML."""
    html = _PARSER.render(markdown)
    rows = [row.split("</tr>")[0] for row in html.split("<tr>")[1:]]
    return [[cell.split(">", 1)[1].rsplit("</t", 1)[0] for cell in row.strip().splitlines()] for row in rows]


@pytest.mark.parametrize(
    "symbol",
    [
        "![x](https://h/p)",
        "[USDC](https://h)",
        r"A\| B | C",
        "`code` **b** _i_ ~~s~~",
        "<b>x</b> &amp; <https://h>",
        "# - 1. > =",
        "\\",
    ],
)
def test_a_tokens_symbol_is_text_in_its_own_cell(symbol: str) -> None:
    heading, row = cells(portfolio_table([position(symbol=symbol)]))

    assert heading == _HEADINGS
    assert unescape(row[0]).replace("\u2060", "") == symbol
    assert "<" not in "".join(row)
    assert row[1] == "Ethereum"
    assert row[4] == "$3.75"


@given(st.text(alphabet=st.sampled_from(string.punctuation + " wWhtps.:a\n\u202e"), min_size=1))
def test_any_text_is_shown_as_it_is(text: str) -> None:
    expected = " ".join(text.split()).replace("\u202e", r"\u202e")

    _, (shown, last) = cells(f"| a | b |\n| --- | --- |\n| {markdown_text(text)} | 1 |")

    assert unescape(shown).replace("\u2060", "") == expected
    assert (last, "<" in shown) == ("1", False)


@pytest.mark.parametrize("text", ["https://h.example", "WWW.h.example", "http://h.example", "a@h.example"])
def test_no_address_is_left_that_a_renderer_makes_a_link_of(text: str) -> None:
    shown = unescape(_PARSER.render(markdown_text(text)))

    assert not any(sign in shown.lower() for sign in ("://", "www.", "a@"))
    assert text in shown.replace("\u2060", "")
