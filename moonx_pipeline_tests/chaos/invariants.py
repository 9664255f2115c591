"""The six invariants that hold whatever breaks: each a function from a history to what violates it."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from decimal import Context, Decimal
from typing import Final

from moonx_pipeline_tests.chaos.history import History, Operation, Viewed

_SLACK_SECONDS: Final = 1.0
"""How much later a balance may be noted than it was answered: a change and its time are two steps."""

_LATE_SECONDS: Final = 5.0
"""How much later than it was granted a call may reach a provider: it may be held back on its way."""

_EXACT: Final = Context(prec=512)
_ALERTS: Final = "system.alerts"


def each_change_is_told_once_in_order(history: History) -> Iterator[str]:
    """Every committed event is in Kafka by one id, each key's in the order of commits, none without a commit."""
    place = {commit.id: number for number, commit in enumerate(history.commits)}
    arrived = {record.id for record in history.records}
    for commit in history.commits:
        if commit.id not in arrived and not commit.set_aside:
            yield f"{commit.type} {commit.id} of {commit.key} is committed and not in Kafka"
    newest: dict[tuple[str, str], int] = {}
    first: set[str] = set()
    for record in history.records:
        number = place.get(record.id)
        if number is None:
            yield f"{record.topic}: {record.id} of {record.key} was never committed"
        elif record.id not in first:
            first.add(record.id)
            if number < newest.get((record.topic, record.key), -1):
                yield f"{record.topic}: {record.id} of {record.key} came after a later one"
            newest[record.topic, record.key] = max(number, newest.get((record.topic, record.key), -1))
    versions: dict[str, int] = {}
    for commit in history.commits:
        if commit.topic != _ALERTS:
            if commit.version < versions.get(commit.key, 0):
                yield f"{commit.key}: version {commit.version} was committed after {versions[commit.key]}"
            versions[commit.key] = commit.version


def clients_see_their_own_and_the_newest(history: History) -> Iterator[str]:
    """No client sees another user's data, goes back to an older version, or ends on one."""
    newest: dict[str, int] = defaultdict(int)
    for seen in history.seen:
        named = {str(seen.data["userId"])} if seen.data.get("userId") else set()
        wallets = {str(token["walletAddress"]) for token in seen.data.get("tokens", ())}
        if strangers := (named - {seen.user}) | (wallets - history.wallets.get(seen.user, set())):
            yield f"{seen.client} of {seen.user} saw a {seen.name} of {', '.join(sorted(strangers))}"
        if seen.name == "portfolio_update":
            version = int(seen.data["version"])
            if version < newest[seen.client]:
                yield f"{seen.client} of {seen.user} saw version {version} after {newest[seen.client]}"
            newest[seen.client] = max(version, newest[seen.client])
    for viewed in history.viewed:
        if viewed.data["userId"] != viewed.user:
            yield f"{viewed.user} was answered the portfolio of {viewed.data['userId']}"
    for client, user in history.connected.items():
        if newest[client] != history.versions.get(user, 0):
            yield f"{client} of {user} ends on version {newest[client]}, stored is {history.versions.get(user, 0)}"


def holdings_follow_answers(history: History) -> Iterator[str]:
    """No holding changes without an answer that says so, totals add up, marks are there and gone when they should."""
    for stored in history.stored:
        operation = history.operations[stored.operation]
        wallet, chain, token = stored.place
        since = operation.began if (wallet, chain) in operation.read else 0.0
        ended = operation.ended if operation.ended is not None else float("inf")
        known = set(history.balances_between(stored.place, since - _SLACK_SECONDS, ended + _SLACK_SECONDS))
        if stored.balance not in known:
            told = " or ".join(map(str, sorted(known))) or "nothing"
            yield f"sync {operation.id} of {operation.user} stored {stored.balance} of {token} on {chain}, held: {told}"
    for viewed in history.viewed:
        yield from _wrong_total(viewed)
    yield from _wrong_end(history)
    yield from _missing_marks(history)
    yield from history.contradictions


def _wrong_total(viewed: Viewed) -> Iterator[str]:
    counted = Decimal(0)
    for one in viewed.data["positions"]:
        if one["isCounted"]:
            counted = _EXACT.add(counted, Decimal(one["valueUsd"]))
    if counted != Decimal(viewed.data["totalValueUsd"]):
        yield f"{viewed.user}: the total is {viewed.data['totalValueUsd']}, what counts adds up to {counted}"
    stale = {chain["chainId"] for chain in viewed.data["chains"] if chain["status"] == "stale"}
    for one in viewed.data["positions"]:
        if one["stale"] != (one["chainId"] in stale):
            yield f"{viewed.user}: {one['symbol']} on {one['chainId']} is marked stale: {one['stale']}"


def _wrong_end(history: History) -> Iterator[str]:
    """In the end all is fresh, and held is what the world holds."""
    for user, data in history.last_viewed().items():
        for chain in data["chains"]:
            if chain["status"] != "fresh":
                yield f"{user}: chain {chain['chainId']} ends as {chain['status']} ({chain['error']})"
        held = {
            (one["walletAddress"], one["chainId"], one["tokenAddress"]): int(one["balance"])
            for one in data["positions"]
        }
        for place, changes in history.truth.items():
            if place[0] in history.wallets[user] and held.pop(place, 0) != changes[-1].balance:
                yield f"{user}: {place[2]} on {place[1]} does not end as {changes[-1].balance}, which is held"
        for place in held:
            yield f"{user}: {place[2]} on {place[1]} is stored and not held"


def _missing_marks(history: History) -> Iterator[str]:
    """The end of a sync that could not read chains names them, and is not complete."""
    for commit in history.commits:
        if commit.type != "sync.completed":
            continue
        data = commit.payload["data"]
        operation = history.operations.get(data["syncOperationId"])
        told = {chain["chainId"] for chain in data["failedChains"]}
        if operation is not None and told != operation.failed:
            yield f"sync {operation.id} of {operation.user} could not read {set(operation.failed)} and told {told}"
        if told and data["complete"]:
            yield f"sync {data['syncOperationId']} told {told} as not read, and that it is complete"


def accepted_requests_end_once(history: History) -> Iterator[str]:
    """Every accepted request ends once, with a reason unless its sync is complete."""
    served: Counter[str | None] = Counter(
        one.request for one in history.operations.values() if one.status in ("completed", "partial")
    )
    for accepted in history.accepted:
        request = history.requests.get(accepted)
        while request is not None and request.served_by is not None:
            request = history.requests.get(request.served_by)
        if request is None:
            yield f"request {accepted} was accepted and is not stored"
        elif request.status == "done":
            operation = history.operations.get(request.operation or "")
            if operation is None or operation.ended is None:
                yield f"request {request.id} is done without a sync that ended"
            elif operation.status != "completed" and not operation.reason:
                yield f"request {request.id} ended as {operation.status} without a reason"
            if served[request.id] > 1:
                yield f"request {request.id} was served by {served[request.id]} syncs"
        elif request.status not in ("refused", "cancelled"):
            yield f"request {request.id} is still {request.status}"
        elif not request.reason:
            yield f"request {request.id} is {request.status} without a reason"


def limits_and_breakers_hold(history: History) -> Iterator[str]:
    """No provider is called more often than its limit, nor while its breaker is open, by all processes together."""
    for provider, limit in history.limits.items():
        calls = history.calls.get(provider, [])
        # What was granted late in the minute before may have been held back on its way.
        allowed = limit * (1 + _LATE_SECONDS / 60)
        for number, at in enumerate(calls):
            within = bisect_right(calls, at + 60) - number
            if within > allowed:
                yield f"{provider} was called {within} times within a minute, {limit} are allowed"
                break
    for breaker in history.breakers:
        for operation in history.operations.values():
            if breaker.at < operation.began < breaker.until and _called(operation, breaker.chain):
                yield f"sync {operation.id} read chain {breaker.chain}, whose breaker was open"


def _called(operation: Operation, chain: int) -> bool:
    return any(read == chain for _, read in operation.read)


def all_is_healthy_and_nothing_is_left(history: History) -> Iterator[str]:
    """A minute after a fault all parts are healthy by themselves, and nothing is left of it."""
    for part, why in history.unhealthy.items():
        yield f"{part} is not healthy: {why}"
    yield from history.left


INVARIANTS: Final[tuple[Callable[[History], Iterator[str]], ...]] = (
    each_change_is_told_once_in_order,
    clients_see_their_own_and_the_newest,
    holdings_follow_answers,
    accepted_requests_end_once,
    limits_and_breakers_hold,
    all_is_healthy_and_nothing_is_left,
)
