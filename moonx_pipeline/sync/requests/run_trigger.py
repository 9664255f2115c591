"""The run trigger: after writing a request, asks Dagster to start its run at once.

The sensor ``sync_requests`` is the safe path and looks every five seconds; this one takes 50 ms. Both mark a request
before they start its run, and only one of them can, so it has one run. Nothing here raises: requests that Dagster does
not receive are left to the sensor.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from functools import cache
from typing import Final
from uuid import UUID

import requests
import structlog
from requests.adapters import HTTPAdapter
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from moonx_pipeline.storage.requests.dispatches import Dispatch, dispatch_these, undo_dispatch
from moonx_pipeline.sync.requests.ask import dispatch_tags
from moonx_pipeline.tracing import span

_CONNECT_SECONDS: Final = 1.0
_ANSWER_SECONDS: Final = 3.0
_SECONDS: Final = 5.0
"""The time for all runs of one call; the sensor starts the rest."""

# No selection of assets means the whole job: the same steps start a third sooner.
_LAUNCH: Final = """mutation Dispatch($run: ExecutionParams!) { launchRun(executionParams: $run) {
  __typename ... on LaunchRunSuccess { run { runId } } ... on Error { message } } }"""
JOB: Final = {
    "repositoryLocationName": "moonx",
    "repositoryName": "__repository__",
    "jobName": "portfolio_sync",
}
_NOT_SERVED: Final = frozenset({502, 503})
"""Statuses of a proxy whose server is down."""

_log = structlog.get_logger("run_trigger")


class _NotStarted(Exception):
    """Dagster certainly did not start the run."""


class _Unsure(Exception):
    """Dagster may have started the run."""


def trigger_runs(engine: Engine, graphql_url: str | None, request_ids: Sequence[UUID]) -> list[UUID]:
    """Dispatches urgent requests that have no run yet, unless syncs are paused.

    Args:
        engine: The pipeline's database.
        graphql_url: Dagster's GraphQL URL, if configured.
        request_ids: Committed requests.

    Returns:
        The requests whose runs were started.
    """
    if graphql_url is None or not request_ids:
        return []
    try:
        with engine.begin() as connection:
            launches = dispatch_these(connection, request_ids)
        started, not_started = _start(graphql_url, launches)
        if not_started:
            with engine.begin() as connection:
                undo_dispatch(connection, not_started)
    except SQLAlchemyError as problem:
        _log.warning("runs not started, the sensor will start them", reason=str(problem).splitlines()[0])
        return []
    return [launch.request_id for launch in started]


def _start(graphql_url: str, launches: Sequence[Dispatch]) -> tuple[list[Dispatch], list[Dispatch]]:
    """The requests that were started, and those that certainly were not; an uncertain one is in neither."""
    end = time.monotonic() + _SECONDS
    for number, launch in enumerate(launches):
        try:
            if time.monotonic() >= end:
                raise _NotStarted(f"The run trigger's {_SECONDS:g} s are over.")
            with span(
                "launch_run", {"moonx.request": str(launch.request_id)}, kind="client", parent=launch.traceparent
            ):
                _launch(graphql_url, launch)
        except (_NotStarted, _Unsure) as problem:
            _log.warning(
                "run not started, the sensor will start what is left",
                request=str(launch.request_id),
                left=len(launches) - number,
                reason=str(problem),
            )
            left = number if isinstance(problem, _NotStarted) else number + 1
            return list(launches[:number]), list(launches[left:])
    return list(launches), []


def _launch(graphql_url: str, launch: Dispatch) -> None:
    """Starts one run.

    Raises:
        _NotStarted: It certainly was not started.
        _Unsure: It may have been started; the sensor will look for it.
    """
    run = {
        "selector": JOB,
        "executionMetadata": {"tags": [{"key": key, "value": value} for key, value in dispatch_tags(launch).items()]},
        "runConfigData": {},
        "mode": "default",
    }
    try:
        answer = _session(os.getpid()).post(
            graphql_url,
            json={"query": _LAUNCH, "variables": {"run": run}},
            timeout=(_CONNECT_SECONDS, _ANSWER_SECONDS),
        )
    except requests.Timeout as problem:
        if isinstance(problem, requests.ConnectTimeout):
            raise _NotStarted("Dagster can't be reached.") from None
        raise _Unsure(f"Dagster did not answer within {_ANSWER_SECONDS:g} s.") from None
    except requests.ConnectionError as problem:
        if _was_sent(problem):
            raise _Unsure("Dagster broke the connection.") from None
        raise _NotStarted("Dagster can't be reached.") from None
    except requests.RequestException as problem:
        raise _NotStarted(f"Dagster could not be asked ({type(problem).__name__}).") from None
    if answer.status_code in _NOT_SERVED or 400 <= answer.status_code < 500:
        raise _NotStarted(f"It answered with status {answer.status_code}: does DAGSTER_GRAPHQL_URL end with /graphql?")
    _check(answer)


def _was_sent(problem: requests.ConnectionError) -> bool:
    """Whether the connection broke after the request may have been sent."""
    cause = problem.args[0] if problem.args else None
    return type(cause).__name__ == "ProtocolError"


def _check(answer: requests.Response) -> None:
    try:
        result = answer.json()["data"]["launchRun"]
        kind = result["__typename"]
    except (ValueError, KeyError, TypeError):
        raise _Unsure(f"Dagster answered with status {answer.status_code} and nothing that says more.") from None
    if kind != "LaunchRunSuccess":
        raise _NotStarted(f"Dagster refused: {str(result.get('message', kind)).splitlines()[0][:300]}")


@cache
def _session(_process_id: int) -> requests.Session:
    """This process's HTTP session, which keeps its connections open between calls."""
    session = requests.Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(pool_maxsize=16))
    return session
