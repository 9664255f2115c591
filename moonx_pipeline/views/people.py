"""What users read of failures: by code, in words of their own, without what only operators can use.

The stored sentences are for operators: they name providers, settings, commands, hosts. Each function takes what an
operator is shown and returns what the portfolio's user is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from moonx_pipeline.domain.chains import CHAIN_BY_ID

_CHAIN_WORDS: Final = {
    "unavailable": "The service it is read from is down.",
    "timeout": "It took too long to answer.",
    "deadline_over": "There was no time left to read it.",
    "malformed": "Its answer could not be understood.",
    "oversized": "Its answer was too large.",
    "parts_refused": "A part of its answer was missing.",
    "rate_limited": "It was asked too often.",
    "banned": "It does not let us ask.",
    "quota_exhausted": "What may be asked this month is used up.",
    "key_rejected": "It does not let us ask.",
    "restricted": "It does not let us ask.",
    "bad_request": "It did not take our question.",
    "batch_too_large": "It was asked for too much at once.",
    "breaker_open": "It failed before, and is asked again later.",
    "no_source": "It is not set up here.",
    "unread_tokens": "Some amounts could not be read.",
}
_UNKNOWN_CHAIN_WORDS: Final = "It could not be read."

_SYNC_WORDS: Final = {
    "no_chain_read": "No chain answered.",
    "chains_failed": "Some chains did not answer.",
    "superseded": "A later sync took its place.",
    "handed_back": "It was stopped before it began, and waits again.",
    "cancelled": "It was cancelled.",
    "interrupted": "It was interrupted. The next one begins soon.",
    "sync_worker_lost": "It was interrupted. The next one begins soon.",
    "deadline_exceeded": "It took too long.",
    "breaker_open": "The syncs before it failed, so it was not tried.",
    "disabled": "Syncs are switched off for this account.",
    "no_wallets": "There is no wallet to read: add one first.",
    "database_away": "What was read could not be stored.",
}
_UNKNOWN_SYNC_WORDS: Final = "Something went wrong on our side."

_OPENED: Final = frozenset({"circuit_breaker_open", "provider_key_rejected", "provider_quota_exhausted"})


def sync_sentence(code: str | None) -> str:
    """Why a sync came to nothing, or was not a whole one."""
    return _SYNC_WORDS.get(code or "", _UNKNOWN_SYNC_WORDS)


def chain_sentence(code: str | None) -> str:
    """Why a chain was not read, or not in full."""
    return _CHAIN_WORDS.get(code or "", _UNKNOWN_CHAIN_WORDS)


def portfolio_for_people(data: Mapping[str, Any]) -> dict[str, Any]:
    """A portfolio. A chain's error without a code is what its source can't know, and stays."""
    chains = [
        chain if chain["errorCode"] is None else {**chain, "error": chain_sentence(chain["errorCode"])}
        for chain in data["chains"]
    ]
    return {**data, "chains": chains}


def operation_for_people(data: Mapping[str, Any]) -> dict[str, Any]:
    """A sync, as an item of a list."""
    message = None if data["errorMessage"] is None else sync_sentence(data["errorCode"])
    return {**data, "errorMessage": message}


def operation_detail_for_people(data: Mapping[str, Any]) -> dict[str, Any]:
    """A sync with its details, without the process that carried it."""
    return {**operation_for_people(data), "chains": _readings(data["chains"]), "workerId": None}


def status_for_people(data: Mapping[str, Any]) -> dict[str, Any]:
    """The status of a user's syncs."""
    error = data["lastError"]
    return {**data, "lastError": error and {**error, "message": "The last sync did not read everything."}}


def event_for_people(name: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """A live event by the name that sockets know it by."""
    match name:
        case "sync_failed":
            error = data["error"]
            return {**data, "error": {**error, "message": sync_sentence(error["code"])}}
        case "sync_completed":
            return {**data, "failedChains": _readings(data["failedChains"])}
        case "sync_progress" if data.get("reason") is not None:
            return {**data, "reason": chain_sentence(data.get("code"))}
        case "system_alert":
            return _alert(data)
        case _:
            return dict(data)


def _readings(chains: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [
        {**chain, "reason": None if chain["reason"] is None else chain_sentence(chain.get("code"))} for chain in chains
    ]


def _alert(data: Mapping[str, Any]) -> dict[str, Any]:
    kind, service = data["alertType"], str(data["service"])
    part, _, which = service.partition(":")
    if kind == "sync_worker_lost":
        return {**data, "message": "Some syncs were interrupted. They begin again by themselves.", "service": "worker"}
    if kind == "outbox_lagging":
        return {**data, "message": "Updates come late at the moment."}
    is_over = kind == "circuit_breaker_closed"
    if kind not in _OPENED and not is_over:
        message = "Something does not work as it should. Its operators know."
    elif part == "user":
        message = (
            "Your portfolio is synced again." if is_over else "Your portfolio could not be synced; it is tried later."
        )
    elif which.isdigit() and int(which) in CHAIN_BY_ID:
        name = CHAIN_BY_ID[int(which)].name
        message = f"{name} is read again." if is_over else f"{name} is hard to read: its amounts may be older."
    else:
        message = (
            "A source of amounts or prices answers again."
            if is_over
            else "A source of amounts or prices does not answer: some may be older."
        )
    return {**data, "message": message}
