"""Metrics, without a token: they tell of parts, not of users."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from moonx_pipeline.metrics.exposition import exposition

router = APIRouter()


@router.get("/metrics", include_in_schema=False)
def read_metrics(request: Request) -> Response:
    """All metrics of this process, for Prometheus."""
    answer = exposition(request.headers.get("accept", ""), request.app.state.metrics)
    return Response(answer.body, answer.status, media_type=answer.content_type)
