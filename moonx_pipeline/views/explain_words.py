"""The evidence for a portfolio in words: each source's quote, the chosen price, and why a position is not counted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from moonx_pipeline.domain.chains import CHAIN_BY_ID, NATIVE_TOKEN
from moonx_pipeline.domain.portfolio import Way
from moonx_pipeline.domain.providers import label_of
from moonx_pipeline.domain.show import safe_text

_CHOSEN: Final = {
    "listing": "chosen: a listing is trusted most",
    "redeemable": "chosen: its vault redeems it for so much of a listed token",
    "deep_pools": "chosen: its pools hold enough of trusted tokens",
    "two_agree": "chosen: another source agrees",
    "single_source": "chosen: nobody else has a price",
    "outvoted": "chosen: two that agree outvote a more trusted one",
    "thin_pools": "shown only: all of its pools are thin",
    "outdated": "shown only: by its own account it is of long ago",
}
_USES: Final = {
    "agrees": "agrees with the chosen one",
    "differs": "differs from the chosen one",
    "far_apart": "contradicts the chosen one",
    "outdated": "not used: by its own account it is of long ago",
    "too_old": "not used: it was read too long ago",
    "unneeded": "not used: somebody else prices it, and a vault's own word counts where nobody does",
    "refused": "not used: nothing stands behind it, since its pools are thin or unknown",
}
_NOT_COUNTED: Final = {
    "spam": "spam: its name is suspicious, no list names it, and it has no deep pool",
    "unpriced": "no price, or no decimals",
    "suspected": "its name is suspicious, and no source has answered yet whether it has a market",
    "low_liquidity": "it can hardly be sold: none of its pools is deep enough",
    "outdated_price": "its only price is of long ago by its source's own account",
    "sources_far_apart": "two sources contradict each other, and no third decides",
    "price_jump": "its price moved far within a day, and no second source confirms it",
    "exceeds_liquidity": "it is worth more than its market or vault could pay, and no list names it",
    "unconfirmed_price": "nobody confirms its price, and such positions count together only up to a limit",
}


def why(use: str, rule: str) -> str:
    """Says in words how a quote was used.

    Args:
        use: The code of its use.
        rule: The code of the rule that chose the price.
    """
    return _CHOSEN.get(rule, "chosen") if use == "chosen" else _USES.get(use, use)


def with_words(explanation: dict[str, Any]) -> dict[str, Any]:
    """Adds ``why`` in words to each quote of an explanation."""
    tokens = [
        {
            **token,
            "quotes": [
                {**quote, "why": why(quote["use"], token["price"]["rule"] if token["price"] else "none")}
                for quote in token["quotes"]
            ],
        }
        for token in explanation["tokens"]
    ]
    return {**explanation, "tokens": tokens}


def lines(explanation: dict[str, Any], most: int | None = None) -> Iterator[str]:
    """The explanation for a terminal: a paragraph per position, counted ones first.

    Args:
        explanation: The explanation as in the API.
        most: The most positions; ``None`` for all.
    """
    tokens = {(token["chainId"], token["tokenAddress"]): token for token in explanation["tokens"]}
    positions = sorted(explanation["positions"], key=lambda position: not position["isCounted"])
    yield (
        f"Total ${explanation['totalValueUsd']} as of {explanation['at']}, version {explanation['version']}, "
        f"sync {explanation['syncOperationId']}"
    )
    for position in positions[:most]:
        yield ""
        yield from _position_lines(position, tokens[position["chainId"], position["tokenAddress"]])
    if most is not None and len(positions) > most:
        yield ""
        yield f"… and {len(positions) - most} smaller positions: name a TOKEN by its symbol or contract to see it."


def _position_lines(position: dict[str, Any], token: dict[str, Any]) -> Iterator[str]:
    chain = CHAIN_BY_ID[position["chainId"]].name
    contract = "native coin" if position["tokenAddress"] == NATIVE_TOKEN else position["tokenAddress"]
    value = f"${position['valueUsd']}" if position["valueUsd"] is not None else "value unknown"
    counted = "counted" if position["isCounted"] else "NOT COUNTED"
    yield f"{safe_text(token['symbol'] or '(no symbol)')} on {chain} ({contract}): {value}, {counted}"
    if position["notCountedReason"]:
        yield f"  why not      {_NOT_COUNTED.get(position['notCountedReason'], position['notCountedReason'])}"
    yield (
        f"  balance      {position['amount'] or position['balance'] + ' units'} in {position['walletAddress']}"
        + _read(position)
    )
    for quote in token["quotes"]:
        source = label_of(quote["source"])
        at = f", priced {quote['priceAt']}" if quote["priceAt"] else ""
        rule = token["price"]["rule"] if token["price"] else "none"
        yield f"  {source:<12} ${quote['priceUsd']}, read {quote['readAt']}{at}: {why(quote['use'], rule)}"
    for silent in token["answeredNothing"]:
        yield f"  {label_of(silent['source']):<12} asked {silent['at']}, has no price"
    if token["notAsked"]:
        yield f"  not asked    {', '.join(label_of(name) for name in token['notAsked'])}"
    yield f"  pools        {_depth(token['depth'])}"
    yield f"  lists        {_lists(token['listing'])}"
    if token["suspicions"]:
        yield f"  suspicious   {', '.join(code.replace('_', ' ') for code in token['suspicions'])}"
    if position["flags"]:
        yield f"  flags        {', '.join(position['flags'])}"


def _read(position: dict[str, Any]) -> str:
    if position["balanceSource"] is None:
        return ", as an earlier sync read it"
    block = f" of block {position['block']}" if position["block"] else ""
    in_bulk = " in bulk" if position.get("balanceWay") == Way.BULK.value else ""
    return f", read{in_bulk}{block} by {label_of(position['balanceSource'])}"


def _depth(depth: dict[str, Any] | None) -> str:
    if depth is None:
        return "none seen"
    if depth["usd"] is None:
        return f"of unknown depth, {depth['at']}"
    return f"{depth['state']}: they hold ${depth['usd']} of trusted tokens, {depth['at']}"


def _lists(listing: dict[str, Any] | None) -> str:
    if listing is None:
        return "none names it"
    coin = f" (CoinGecko's {listing['coingeckoId']})" if listing["coingeckoId"] else ""
    return ", ".join(listing["lists"]) + coin
