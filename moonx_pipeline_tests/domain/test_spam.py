from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonx_pipeline.domain.majors import WELL_KNOWN_SYMBOLS
from moonx_pipeline.domain.portfolio import TokenInfo
from moonx_pipeline.domain.spam import NOT_SPAM, Verdict, judge_spam, suspicions


def reasons(symbol: str | None, name: str | None = "Some Token") -> tuple[str, ...]:
    return suspicions(TokenInfo(symbol, name, 18))


def wide(text: str) -> str:
    """In full-width forms."""
    return "".join(chr(ord(c) + 0xFEE0) for c in text)


def bold(text: str) -> str:
    """In mathematical bold capitals."""
    return "".join(chr(ord(c) - ord("A") + 0x1D400) for c in text)


@pytest.mark.parametrize(
    ("symbol", "name"),
    [
        ("MKR", "Maker"),
        ("USD0", "Usual USD"),
        ("cbETH", "Coinbase Wrapped Staked ETH"),
        ("rETH", "Rocket Pool ETH"),
        ("1INCH", "1INCH Token"),
        ("aUSDC", "Aave interest bearing USDC"),
        ("UNI-V2", "Uniswap V2"),
        ("st.ETH", "A.B.C. Fund"),
        ("COM", "Dotcom Company"),
        ("РУБ", "Рубль"),
        ("円", "日本円コイン"),
        ("ΔΣ", "Δelta Σum"),
        ("MOON🚀", "To the Moon"),
        ("CAFÉ", "Café Crème"),
        (None, "Named Only"),
        ("SYM", None),
    ],
)
def test_an_honest_name_is_clean(symbol: str | None, name: str | None) -> None:
    assert reasons(symbol, name) == ()


@pytest.mark.parametrize(
    ("how", "symbol"),
    [
        ("the very symbol", "USDC"),
        ("in another case", "usdc"),
        ("with a dollar sign", "$USDC"),
        ("with spaces", " U S D C "),
        ("Cyrillic", "USD\N{CYRILLIC CAPITAL LETTER ES}"),
        (
            "Cyrillic throughout",
            "\N{CYRILLIC CAPITAL LETTER O}\N{CYRILLIC CAPITAL LETTER ER}",
        ),
        ("Greek", "W\N{GREEK CAPITAL LETTER EPSILON}\N{GREEK CAPITAL LETTER TAU}\N{GREEK CAPITAL LETTER ETA}"),
        ("Greek in lower case", "d\N{GREEK SMALL LETTER ALPHA}\N{GREEK SMALL LETTER IOTA}"),
        ("Greek lunate sigma", "USD\N{GREEK CAPITAL LUNATE SIGMA SYMBOL}"),
        ("full width", wide("USDC")),
        ("mathematical letters", bold("USDC")),
        (
            "circled letters",
            "\N{CIRCLED LATIN CAPITAL LETTER O}\N{CIRCLED LATIN CAPITAL LETTER P}",
        ),
        ("accents", "\N{LATIN CAPITAL LETTER U WITH ACUTE}SD\N{LATIN CAPITAL LETTER C WITH ACUTE}"),
        ("zero width space", "USD\u200bC"),
        ("soft hyphen", "US\u00adDT"),
        ("text turned around", "\u202eUSDT"),
        ("variation selector", "USDT\ufe0f"),
        ("Hangul filler", "USDC\u3164"),
        ("half-width filler", "\uffa0USDC"),
        ("braille blank", "DAI\u2800"),
        ("line separator", "DAI\u2028"),
        ("tugrik sign", "USD\N{TUGRIK SIGN}"),
        ("Armenian", "\N{ARMENIAN CAPITAL LETTER SEH}SDT"),
        ("Lisu", "\N{LISU LETTER U}\N{LISU LETTER SA}\N{LISU LETTER DA}\N{LISU LETTER CA}"),
        ("Cherokee", "\N{CHEROKEE LETTER A}\N{CHEROKEE LETTER GO}I"),
        ("no-break space", "\u00a0DAI"),
        ("with the dot", "usdc.E"),
        ("an asset of other chains", "BTC"),
        ("the old name of POL", "MATIC"),
    ],
)
def test_a_symbol_that_reads_like_a_well_known_one_is_found(how: str, symbol: str) -> None:
    assert "lookalike_symbol" in reasons(symbol), how


@pytest.mark.parametrize(
    "hidden", ["\u200b", "\u200d", "\ufeff", "\u202e", "\u2066", "\x00", "\x1b", "\n", "\u00ad", "\ue000", "\ud800"]
)
@pytest.mark.parametrize("place", ["symbol", "name"])
def test_characters_that_do_not_show_are_found(hidden: str, place: str) -> None:
    text = f"To{hidden}ken"
    assert reasons(*((text, "Token") if place == "symbol" else ("TKN", text))) == ("hidden_characters",)


@pytest.mark.parametrize("blank", ["\u3164", "\uffa0", "\u115f", "\u1160", "\u2800", "\u2028", "\u2029"])
def test_letters_that_show_nothing_are_found(blank: str) -> None:
    assert reasons(f"TKN{blank}") == ("hidden_characters",)


@pytest.mark.parametrize(
    "text",
    [
        "https://drop.example",
        "HTTP:drop",
        "www.drop",
        "t.me/drop",
        "get-usdc.com",
        "$ drop.XYZ for you",
        "1000 USDC at airdr0p.io",
        "uniswaplp.eth.limo",
        wide("drop.com"),
        "drop\N{ONE DOT LEADER}com",
        "drop.\N{CYRILLIC SMALL LETTER ES}om",
        "drop.c\u200bom",
        "drop.\N{LATIN SMALL LETTER C WITH ACUTE}om",
    ],
)
def test_a_web_address_in_a_name_or_symbol_is_found(text: str) -> None:
    assert "link_in_name" in reasons("TKN", text)
    assert "link_in_name" in reasons(text, "Token")


@pytest.mark.parametrize(
    "text",
    [
        "Claim now",
        "VISIT us",
        "Airdrop",
        "free voucher!",
        "staking rewards",
        "\N{CYRILLIC CAPITAL LETTER ES}laim",
        wide("claim"),
        "cl\u200baim",
    ],
)
def test_a_lure_in_a_name_or_symbol_is_found(text: str) -> None:
    assert "lure_in_name" in reasons("TKN", text)
    assert "lure_in_name" in reasons(text, "Token")


@pytest.mark.parametrize("text", ["Proclaimer", "Bonuses", "Revisited"])
def test_a_lure_is_a_whole_word(text: str) -> None:
    assert reasons("TKN", text) == ()


@pytest.mark.parametrize(("symbol", "name"), [(None, None), ("", ""), (" ", None), (None, "\t ")])
def test_a_token_that_says_nothing_of_itself_is_marked(symbol: str | None, name: str | None) -> None:
    assert reasons(symbol, name)[0] == "no_metadata"


def test_all_reasons_are_told_in_a_fixed_order() -> None:
    assert reasons("USDC\u200b", "Claim at drop.com") == (
        "link_in_name",
        "lure_in_name",
        "hidden_characters",
        "lookalike_symbol",
    )


@pytest.mark.parametrize("symbol", sorted(WELL_KNOWN_SYMBOLS))
def test_every_well_known_symbol_is_guarded(symbol: str) -> None:
    assert "lookalike_symbol" in reasons(symbol)
    assert "lookalike_symbol" in reasons(f"${symbol.lower()}")
    assert "lookalike_symbol" in reasons(wide(symbol))


SUSPICIONS = (
    ("link_in_name",),
    ("lure_in_name",),
    ("lookalike_symbol",),
    ("hidden_characters",),
    ("no_metadata",),
    ("link_in_name", "lure_in_name", "lookalike_symbol"),
)


@pytest.mark.parametrize("suspected_for", SUSPICIONS, ids="+".join)
@pytest.mark.parametrize("was_asked_for", [True, False])
@pytest.mark.parametrize("is_deep", [True, False])
@pytest.mark.parametrize("is_listed", [True, False])
def test_spam_is_suspected_and_unlisted_and_not_deep_and_asked_for(
    suspected_for: tuple[str, ...], is_listed: bool, is_deep: bool, was_asked_for: bool
) -> None:
    verdict = judge_spam(suspected_for, is_listed=is_listed, is_deep=is_deep, was_asked_for=was_asked_for)
    if is_listed or is_deep:
        assert verdict == NOT_SPAM
    else:
        assert verdict == (Verdict(suspected_for) if was_asked_for else Verdict(is_pending=True))


@pytest.mark.parametrize("was_asked_for", [True, False])
def test_a_token_without_suspicion_is_never_spam_whatever_its_market(was_asked_for: bool) -> None:
    assert judge_spam((), is_listed=False, is_deep=False, was_asked_for=was_asked_for) == NOT_SPAM


@given(st.text(max_size=12), st.text(max_size=20))
def test_no_text_breaks_the_rules_and_marks_do_not_hide_one(symbol: str, name: str) -> None:
    found = reasons(symbol, name)
    assert len(set(found)) == len(found)
    marked = "".join(c + "\u0301" for c in symbol)
    if "lookalike_symbol" in found:
        assert "lookalike_symbol" in reasons(marked, name)
    if any(unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co") for c in symbol + name):
        assert "hidden_characters" in found
